"""Traffic in Standard mode: `spec.canary`, and the weights of the InferenceService's HTTPRoute.

How a step is safe here:

- A candidate gets its share only when its pods are up, and when the HTTPRoute shows that KServe makes a split at all:
  a start writes 0 % first.
- KServe deletes the stable Deployment before it does anything else about a promotion. So the candidate has as many pods
  first (`rollout.replicas`), then all traffic, seen in the route, and only then the stable version's place.
- An abort takes the share away, and sees that in the route, before the pods go.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Final

from typing_extensions import override

from rollout import installed
from rollout.errors import NotPossible, NotReady, WrongPhase
from rollout.kinds import AUTOSCALER, DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, Kind, Manifest, is_true, why_not
from rollout.objects import Objects
from rollout.predictor import check_uri, name_for, uri_of
from rollout.replicas import stable_replicas
from rollout.route import Route
from rollout.scene import Scene, edited, forget, read_scene, record, runs, was_promoted
from rollout.snapshot import Snapshot
from rollout.standard_spec import enlarged, is_enlarged, promoted, sized, started, with_share
from rollout.standard_view import (
    ALL,
    MODE,
    View,
    edits,
    entry_of,
    is_of_kserve,
    observe,
    phase_of,
    wished,
    workload_name,
)
from rollout.step import Patch, Step, Wait, delete_of, patch_of
from rollout.traffic import Candidate, Observed, Phase, Traffic, check_percent
from rollout.workload import Workload

AUTOSCALER_CLASS: Final = "serving.kserve.io/autoscalerClass"


class StandardTraffic(Traffic):
    """The traffic of one InferenceService behind an HTTPRoute. See `rollout.traffic.Traffic`."""

    def __init__(
        self, objects: Objects, namespace: str, name: str, kserve_namespace: str = installed.NAMESPACE
    ) -> None:
        self._objects = objects
        self._namespace = namespace
        self._name = name
        self._kserve_namespace = kserve_namespace

    @override
    def read(self) -> Observed:
        return observe(self._look())

    @override
    def start(self, candidate: Candidate) -> Step:
        check_percent(candidate.percent)
        check_uri(candidate.uri)
        view = self._look()
        match phase_of(view.scene):
            case Phase.NONE:
                snapshot = self._plan(view, candidate)
                first = _go_on(replace(view.scene, snapshot=snapshot), candidate).says
                share = f"set its share to {candidate.percent} %, once its pods are up and the HTTPRoute names it"
                return record(view.scene, snapshot, (first, share))
            case Phase.RECORDED:
                return _go_on(view.scene, candidate)
            case Phase.RUNNING if _is_this(view.scene, candidate):
                return _give(view, candidate.percent)
            case _:
                raise runs(view.scene)

    @override
    def set_percent(self, percent: int, *, despite_edits: bool = False) -> Step:
        check_percent(percent)
        view = self._look()
        _expect(view, Phase.RUNNING, despite_edits=despite_edits)
        return _give(view, percent)

    @override
    def promote(self, *, despite_edits: bool = False) -> Step:
        view = self._look()
        _expect(view, Phase.RUNNING, Phase.PROMOTING, Phase.PROMOTED, despite_edits=despite_edits)
        if entry_of(view.scene.spec) is None:
            return _finish_promotion(view)
        return _promote(view)

    @override
    def abort(self, *, despite_edits: bool = False) -> Step:
        view = self._look()
        snapshot = view.scene.began()
        match phase_of(view.scene):
            case Phase.PROMOTED:
                raise was_promoted(view.scene)
            case Phase.EDITED if not despite_edits:
                raise edited(view.scene, edits(view.scene))
            case Phase.RECORDED:
                return _finish_abort(view)
            case _:
                return _withdraw(view, snapshot)

    @override
    def take(self, step: Step) -> None:
        if step.write is not None:
            step.write.take(self._objects)

    def _look(self) -> View:
        scene = read_scene(self._objects, self._namespace, self._name)
        before = scene.spec if scene.snapshot is None else scene.snapshot.stable
        stable = workload_name(self._name, before["predictor"].get("name", ""))
        candidate = workload_name(self._name, scene.snapshot.name) if scene.snapshot else ""
        return View(
            scene,
            Route(self._get(HTTP_ROUTE, self._name)),
            Workload(self._get(DEPLOYMENT, stable)),
            Workload(self._get(DEPLOYMENT, candidate) if candidate else None),
            stable,
            candidate,
            self._leftovers(scene, stable, candidate),
        )

    def _leftovers(self, scene: Scene, stable: str, candidate: str) -> tuple[tuple[Kind, Manifest], ...]:
        """The route and the autoscaler of the version that went, where they are still there."""
        gone = {Phase.PROMOTED: stable, Phase.RECORDED: candidate}.get(phase_of(scene), "")
        if not gone or self._get(DEPLOYMENT, gone) is not None:
            return ()
        left: list[tuple[Kind, Manifest]] = []
        for kind in (HTTP_ROUTE, AUTOSCALER):
            manifest = self._get(kind, gone)
            if manifest is not None and is_of_kserve(manifest, scene):
                left.append((kind, manifest))
        return tuple(left)

    def _get(self, kind: Kind, name: str) -> Manifest | None:
        return self._objects.get(kind, self._namespace, name)

    def _plan(self, view: View, candidate: Candidate) -> Snapshot:
        """The record of a canary that would begin: tried on the API server, without being kept."""
        scene = view.scene
        _check_kind(scene)
        installed.read_installed(self._objects, self._kserve_namespace).check()
        _check_stable(view, candidate)
        name = name_for(scene.name, candidate.uri, candidate.name, scene.predictor.get("name", ""))
        write = _canary(scene, started(scene.spec, name, candidate.uri, candidate.percent))
        tried = self._objects.patch(write.kind, write.namespace, write.name, write.operations, dry_run=True)
        if entry_of(tried["spec"]) is None:
            raise NotPossible("this KServe knows no spec.canary: a later release is needed; nothing was written")
        return Snapshot(
            mode=MODE,
            uid=scene.service["metadata"]["uid"],
            name=name,
            uri=candidate.uri,
            percent=candidate.percent,
            stable=scene.spec,
            candidate=tried["spec"],
        )


def _check_kind(scene: Scene) -> None:
    """Refuse an InferenceService whose canary would get no traffic, or cannot be made."""
    if "transformer" in scene.spec:
        raise NotPossible(
            f"{scene.name} has a transformer in pods of its own, which asks the stable predictor only, or is passed "
            "by in some releases of KServe: a canary in Standard mode needs the transformer in the predictor's pod, or "
            "an InferenceService of its own; nothing was written"
        )
    if "canaryTrafficPercent" in scene.predictor:
        raise NotPossible(
            f"{scene.name} sets canaryTrafficPercent, which KServe ignores in Standard mode: take it away first, so "
            "that nobody relies on it; nothing was written"
        )
    if (scene.service["metadata"].get("annotations") or {}).get(AUTOSCALER_CLASS) == "keda":
        raise NotPossible(
            f"{scene.name} is scaled by KEDA, and KServe makes a candidate's ScaledObject without triggers, which is "
            "refused: take another autoscaler for the time of the canary; nothing was written"
        )
    if scene.spec.get("canary"):
        raise WrongPhase(
            f"{scene.name} has spec.canary, and kserve-vision did not start that canary: take it away, and start again"
        )


def _check_stable(view: View, candidate: Candidate) -> None:
    scene = view.scene
    if uri_of(scene.predictor) == candidate.uri:
        raise NotPossible(f"{scene.name} serves {candidate.uri} already: give another version another URI")
    if not is_true(scene.service, "Ready"):
        raise NotReady(f"{scene.name} is not ready: {why_not(scene.service, 'Ready') or 'nothing says why'}")
    if view.route.manifest is None:
        raise NotPossible(
            f"{scene.name} has no HTTPRoute, so that nobody would split its traffic: KServe makes one with Gateway API "
            "(ingress.enableGatewayApi), and not for a cluster-local service; nothing was written"
        )
    if view.route.why_not:
        raise NotReady(f"nobody would split the traffic of {scene.name}: {view.route.why_not}")


def _go_on(scene: Scene, candidate: Candidate) -> Step:
    """The write of a start whose record is there."""
    snapshot = scene.began()
    if snapshot.uri != candidate.uri or snapshot.stable != scene.spec:
        raise runs(scene)
    changed = started(scene.spec, snapshot.name, snapshot.uri, candidate.percent)
    pods = changed["canary"][0]["predictor"].get("minReplicas", 1)
    left = max(stable_replicas(scene.predictor) - pods, 1)
    says = (
        f"add {snapshot.name} ({snapshot.uri}) to spec.canary, with 0 % until its pods are up. KServe takes its pods "
        f"from the stable version's: {pods} for it, {left} stay"
    )
    return Step(says, _canary(scene, changed))


def _give(view: View, percent: int) -> Step:
    """Bring the candidate to a share: pods first, then the route."""
    scene, name = view.scene, view.candidate_name
    wanted = sized(scene.spec, percent)
    if wanted != scene.spec:
        return Step(f"give {name} {_pods(wanted)} for {percent} % of the traffic", _canary(scene, wanted))
    if view.candidate.available < view.pods_wanted:
        return Step(f"{name} is not ready: {view.candidate.why}", waits=Wait.CANDIDATE)
    if not view.route.names(name):
        return Step(_no_split(view), waits=Wait.SPLIT)
    changed = with_share(scene.spec, percent)
    if changed != scene.spec:
        return Step(f"set the share of {name} from {wished(scene)} to {percent} %", _canary(scene, changed))
    if view.route.share(name) != percent:
        return Step(f"{name} has not its {percent} % yet{_because(view)}", waits=Wait.SPLIT)
    return Step(f"{name} has {percent} % of the traffic")


def _promote(view: View) -> Step:
    """Bring the candidate to the stable version's size, then to all traffic, then to its place."""
    scene, name, snapshot = view.scene, view.candidate_name, view.scene.began()
    if not is_enlarged(scene.spec, snapshot):
        _expect_ready(view)
        pods = stable_replicas(snapshot.stable["predictor"])
        says = f"give {name} as many pods as the stable version has ({pods}), which keeps its own meanwhile"
        then = (
            f"set the share of {name} to 100 %",
            f"make {snapshot.name} the predictor, and take spec.canary away",
            "delete what KServe leaves of the version before, and the canary's record",
        )
        return Step(says, _whole(scene, enlarged(scene.spec)), then=then)
    if view.candidate.available < view.pods_wanted:
        return Step(f"{name} is not as large as the stable version yet: {view.candidate.why}", waits=Wait.CANDIDATE)
    if wished(scene) != ALL:
        _expect_ready(view)
        changed = copy.deepcopy(scene.spec)
        changed["canary"][0]["trafficPercent"] = ALL
        return Step(f"set the share of {name} to 100 %", _canary(scene, changed))
    if view.route.share(name) != ALL:
        return Step(f"{name} has not all traffic yet{_because(view)}", waits=Wait.SPLIT)
    says = f"make {snapshot.name} the predictor (predictor.name and the model), and take spec.canary away"
    return Step(says, _whole(scene, promoted(scene.spec, snapshot)))


def _finish_promotion(view: View) -> Step:
    name = view.candidate_name
    if view.candidate.available < stable_replicas(view.scene.predictor) or not view.route.only(name):
        return Step(f"{name} does not serve alone yet{_because(view)}", waits=Wait.STABLE)
    return _clean(view) or forget(view.scene, f"{view.scene.began().name} ({name}) is the stable version")


def _withdraw(view: View, snapshot: Snapshot) -> Step:
    """Take the share away, see that in the route, and restore the spec."""
    scene, name = view.scene, view.candidate_name
    if entry_of(scene.spec) is not None:
        if wished(scene) != 0:
            changed = copy.deepcopy(scene.spec)
            changed["canary"][0]["trafficPercent"] = 0
            then = ("restore the spec of the stable version, without spec.canary", "delete the canary's record")
            return Step(f"set the share of {name} from {wished(scene)} to 0 %", _canary(scene, changed), then=then)
        if view.route.share(name):
            return Step(f"{name} has {view.route.share(name)} % of the traffic still", waits=Wait.SPLIT)
    uri = uri_of(snapshot.stable["predictor"])
    write = _whole(scene, snapshot.stable)
    return Step(f"restore the spec of the stable version ({uri}), without spec.canary", write)


def _finish_abort(view: View) -> Step:
    name = view.stable_name
    if view.candidate.manifest is not None or not (view.route.only(name) or view.route.why_not):
        return Step(f"{name} does not serve alone yet", waits=Wait.STABLE)
    return _clean(view) or forget(view.scene, f"{uri_of(view.scene.predictor)} serves alone")


def _clean(view: View) -> Step | None:
    """Delete what KServe leaves of a version that is gone."""
    for kind, manifest in view.leftovers:
        name = manifest["metadata"]["name"]
        return Step(f"delete {kind} {name}, which KServe leaves of a version that is gone", delete_of(kind, manifest))
    return None


def _expect(view: View, *phases: Phase, despite_edits: bool) -> None:
    scene, snapshot = view.scene, view.scene.began()
    phase = phase_of(scene)
    if phase is Phase.EDITED:
        if not despite_edits:
            raise edited(scene, edits(scene))
        if entry_of(scene.spec) is None and (
            Phase.PROMOTED not in phases or scene.predictor.get("name") != snapshot.name
        ):
            raise WrongPhase(f"{scene.name} has no candidate any more: abort ends its canary")
    elif phase not in phases:
        raise _not_running(scene, phase)


def _expect_ready(view: View) -> None:
    """Refuse to promote what does not serve.

    Raises:
        NotReady: the candidate's pods are not up, or nobody splits the traffic.
    """
    if view.candidate.available < view.pods_wanted:
        raise NotReady(f"{view.candidate_name} cannot be promoted yet, it is not ready: {view.candidate.why}")
    if not view.route.names(view.candidate_name):
        raise NotReady(f"{view.candidate_name} cannot be promoted: {_no_split(view)}")


def _not_running(scene: Scene, phase: Phase) -> WrongPhase:
    said = {
        Phase.RECORDED: "was recorded, and not started: start it again, or abort it",
        Phase.PROMOTING: "is being promoted: promote finishes that, and abort goes back",
        Phase.PROMOTED: "was promoted: promote takes its record away",
    }
    return WrongPhase(f"the canary of {scene.name} {said[phase]}")


def _is_this(scene: Scene, candidate: Candidate) -> bool:
    return scene.began().uri == candidate.uri and wished(scene) in (0, candidate.percent)


def _no_split(view: View) -> str:
    return f"KServe has not put {view.candidate_name} into HTTPRoute {view.scene.name}"


def _because(view: View) -> str:
    return f": {view.route.why_not}" if view.route.why_not else ""


def _pods(spec: Manifest) -> str:
    pods = spec["canary"][0]["predictor"]["minReplicas"]
    return "one pod" if pods == 1 else f"{pods} pods"


def _canary(scene: Scene, changed: Manifest) -> Patch:
    """The write of another `spec.canary`."""
    operation = {"op": "add", "path": "/spec/canary", "value": changed["canary"]}
    return patch_of(INFERENCE_SERVICE, scene.service, (operation,))


def _whole(scene: Scene, changed: Manifest) -> Patch:
    return patch_of(INFERENCE_SERVICE, scene.service, ({"op": "replace", "path": "/spec", "value": changed},))
