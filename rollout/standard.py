"""Traffic in Standard mode: `spec.canary`, and the weights of the InferenceService's HTTPRoute.

How a step is safe here:

- A candidate gets its share only when its pods are up, and when the HTTPRoute shows that KServe makes a split at all:
  a start writes 0 % first.
- The stable version keeps its number of pods as long as a candidate is there (`rollout.replicas`).
- KServe deletes the stable Deployment before it does anything else about a promotion. So the candidate has as many pods
  first, then all traffic, seen in the route, and only then the stable version's place.
- KServe takes a Deployment of the candidate's name over, whoever owns it: a name that is somebody's is refused.
- An abort takes the share away, and sees that in the route, before the pods go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from typing_extensions import override

from rollout import installed
from rollout.errors import NoSuchKind, NotPossible, NotReady
from rollout.installed import read_installed
from rollout.kinds import AUTOSCALER, DEPLOYMENT, HTTP_ROUTE, Kind, Manifest
from rollout.mode import Mode
from rollout.naming import longest_name, name_for, workload_name
from rollout.objects import Objects
from rollout.predictor import check_uri, uri_of
from rollout.replicas import stable_replicas
from rollout.route import Route
from rollout.scene import (
    FORGET,
    Scene,
    check_stable,
    edited,
    forget,
    keep,
    not_running,
    read_scene,
    record,
    rewrite,
    runs,
    spec_patch,
    was_promoted,
    without_candidate,
)
from rollout.snapshot import Snapshot
from rollout.standard_checks import check_free, check_kind, check_route
from rollout.standard_spec import (
    BOUNDS,
    candidate_pods,
    enlarged,
    is_roomy,
    promoted,
    sized,
    started,
    with_edited_bounds,
    with_share,
    with_traffic,
)
from rollout.standard_view import (
    View,
    edits,
    entry_of,
    has_its_place,
    is_of_kserve,
    is_renamed,
    observe,
    phase_of,
    wished,
)
from rollout.step import Step, Wait, delete_of
from rollout.traffic import ALL, Candidate, Observed, Phase, Traffic, check_percent
from rollout.workload import Workload


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
                return record(view.scene, snapshot, _go_on(replace(view.scene, snapshot=snapshot), candidate))
            case Phase.RECORDED:
                check_free(self._objects, view.scene, view.scene.began().name)
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
        return _with_edited_pods(view, lambda each: _give(each, percent))

    @override
    def promote(self, *, despite_edits: bool = False) -> Step:
        view = self._look()
        _expect(view, Phase.RUNNING, Phase.PROMOTING, Phase.PROMOTED, despite_edits=despite_edits)
        if entry_of(view.scene.spec) is None:
            return _finish_promotion(view)
        return _with_edited_pods(view, _promote)

    @override
    def abort(self, *, despite_edits: bool = False) -> Step:
        view = self._look()
        snapshot, phase = view.scene.began(), phase_of(view.scene)
        if has_its_place(view.scene):
            raise was_promoted(view.scene, "" if phase is Phase.PROMOTED else " --despite-edits")
        match phase:
            case Phase.EDITED if is_renamed(view.scene):
                return forget(view.scene, f"no candidate of {self._name} is there, and what serves stays as it is")
            case Phase.EDITED if not despite_edits:
                raise edited(view.scene, edits(view.scene))
            case Phase.RECORDED if is_roomy(view.scene.spec, snapshot):
                return _restore(view.scene, snapshot)
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
        gone = stable if has_its_place(scene) else candidate if phase_of(scene) is Phase.RECORDED else ""
        if not gone or self._get(DEPLOYMENT, gone) is not None:
            return ()
        left: list[tuple[Kind, Manifest]] = []
        for kind in (HTTP_ROUTE, AUTOSCALER):
            manifest = self._get(kind, gone)
            if manifest is not None and is_of_kserve(manifest, scene):
                left.append((kind, manifest))
        return tuple(left)

    def _get(self, kind: Kind, name: str) -> Manifest | None:
        try:
            return self._objects.get(kind, self._namespace, name)
        except NoSuchKind:  # a cluster without the Gateway API has no HTTPRoutes
            return None

    def _plan(self, view: View, candidate: Candidate) -> Snapshot:
        """The record of a canary that would begin: tried on the API server, without being kept."""
        scene = view.scene
        check_kind(scene)
        read_installed(self._objects, self._kserve_namespace).check_split()
        check_stable(scene, candidate.uri)
        check_route(view)
        longest = longest_name(scene.name, scene.namespace)
        name = name_for(candidate.uri, candidate.name, scene.predictor.get("name", ""), longest)
        check_free(self._objects, scene, name)
        changed = started(scene.spec, name, candidate.uri, candidate.percent)
        tried = spec_patch(scene, changed).try_out(self._objects)
        if entry_of(tried["spec"]) is None:
            raise NotPossible("this KServe knows no spec.canary: a later release is needed; nothing was written")
        return Snapshot(
            mode=Mode.STANDARD.spelled,
            uid=scene.service["metadata"]["uid"],
            name=name,
            uri=candidate.uri,
            percent=candidate.percent,
            stable=scene.spec,
            candidate=tried["spec"],
        )


def _go_on(scene: Scene, candidate: Candidate) -> Step:
    """The write of a start whose record is there."""
    snapshot = scene.began()
    is_stable = snapshot.stable == scene.spec or is_roomy(scene.spec, snapshot)
    if snapshot.uri != candidate.uri or not is_stable:
        raise runs(scene)
    changed = started(snapshot.stable, snapshot.name, snapshot.uri, candidate.percent)
    says = (
        f"add {snapshot.name} ({snapshot.uri}) to spec.canary, with {_pods(changed)}, and 0 % until they are up; set "
        f"predictor.minReplicas to {changed['predictor']['minReplicas']}, from which KServe takes them, so that the "
        f"stable version keeps {stable_replicas(snapshot.stable['predictor'])}"
    )
    share = f"set its share to {candidate.percent} %, once its pods are up and the HTTPRoute names it"
    return rewrite(scene, changed, says, (share,))


def _with_edited_pods(view: View, decide: Callable[[View], Step]) -> Step:
    """What `decide` says; where somebody edited the number of pods, the record takes it over first."""
    scene = view.scene
    snapshot = with_edited_bounds(scene.spec, scene.began())
    if snapshot == scene.snapshot:
        return decide(view)
    following = decide(replace(view, scene=replace(scene, snapshot=snapshot)))
    told = ", ".join(f"{key} {snapshot.stable['predictor'].get(key, 'unset')}" for key in BOUNDS)
    return keep(scene, snapshot, f"keep the edited number of pods ({told})", following)


def _give(view: View, percent: int) -> Step:
    """Bring the candidate to a share: pods first, then the route."""
    scene, name, snapshot = view.scene, view.candidate_name, view.scene.began()
    changed = with_share(scene.spec, snapshot, percent)
    share = f"set the share of {name} from {wished(scene)} to {percent} %, with {_pods(changed)}"
    then = (share,) if changed != scene.spec else ()
    wanted = sized(scene.spec, snapshot, percent)
    if wanted != scene.spec:
        return rewrite(scene, wanted, f"give {name} {_pods(wanted)} for {percent} % of the traffic", then)
    if view.candidate.available < view.pods_wanted:
        return Step(f"{name} is not ready: {view.candidate.why}", waits=Wait.CANDIDATE, then=then)
    if not view.route.names(name):
        waits = Wait.SPLIT if wished(scene) else Wait.ROUTE  # what had a share was named before
        return Step(_no_split(view), waits=waits, then=then)
    if changed != scene.spec:
        return rewrite(scene, changed, share)
    if view.route.share(name) != percent:
        return Step(f"{name} has not its {percent} % yet{_because(view)}", waits=Wait.SPLIT)
    return Step(f"{name} has {percent} % of the traffic")


def _promote(view: View) -> Step:
    """Bring the candidate to the stable version's size, then to all traffic, then to its place."""
    scene, name, snapshot = view.scene, view.candidate_name, view.scene.began()
    share = f"set the share of {name} to 100 %"
    then = (
        f"make {snapshot.name} the predictor (predictor.name and the model), and take spec.canary away",
        "delete what KServe leaves of the version before",
        FORGET,
    )
    wanted = enlarged(scene.spec, snapshot)
    if wanted != scene.spec:
        _expect_ready(view)
        says = f"give {name} as many pods as the stable version has ({candidate_pods(wanted)}), which keeps its own"
        return rewrite(scene, wanted, says, (share, *then))
    if view.candidate.available < view.pods_wanted:
        says = f"{name} is not as large as the stable version yet: {view.candidate.why}"
        return Step(says, waits=Wait.CANDIDATE, then=(share, *then))
    if wished(scene) != ALL:
        _expect_ready(view)
        return rewrite(scene, with_traffic(scene.spec, ALL), share, then)
    if view.route.share(name) != ALL:
        return Step(f"{name} has not all traffic yet{_because(view)}", waits=Wait.SPLIT, then=then)
    return rewrite(scene, promoted(scene.spec, snapshot), then[0], then[1:])


def _finish_promotion(view: View) -> Step:
    name = view.candidate_name
    if view.candidate.available < stable_replicas(view.scene.predictor) or not view.route.only(name):
        return Step(f"{name} does not serve alone yet{_because(view)}", waits=Wait.STABLE, then=(FORGET,))
    return _clean(view) or forget(view.scene, f"{view.scene.began().name} ({name}) is the stable version")


def _withdraw(view: View, snapshot: Snapshot) -> Step:
    """Take the share away, see that in the route, and restore the spec."""
    scene, name = view.scene, view.candidate_name
    if entry_of(scene.spec) is not None:
        then = ("restore the spec of the stable version, without spec.canary", FORGET)
        if wished(scene) != 0:
            says = f"set the share of {name} from {wished(scene)} to 0 %"
            return rewrite(scene, with_traffic(scene.spec, 0), says, then)
        if view.route.mentions(name) and view.route.share(name) != 0:
            return Step(_still(view), waits=Wait.SPLIT, then=then)
    return _restore(scene, snapshot)


def _restore(scene: Scene, snapshot: Snapshot) -> Step:
    uri = uri_of(snapshot.stable["predictor"])
    says = f"restore the spec of the stable version ({uri}), without spec.canary"
    return rewrite(scene, snapshot.stable, says, (FORGET,))


def _still(view: View) -> str:
    """Why the candidate's pods may not go yet."""
    name, share = view.candidate_name, view.route.share(view.candidate_name)
    if share is not None:
        return f"{name} has {share} % of the traffic still"
    return (
        f"{name} may have traffic still: {view.route.why_not or 'the rules of the HTTPRoute differ'}. If that gateway "
        f"is gone for good, take spec.canary of {view.scene.name} away with kubectl, and abort once more"
    )


def _finish_abort(view: View) -> Step:
    name = view.stable_name
    if view.candidate.manifest is not None or not (view.route.only(name) or view.route.why_not):
        return Step(f"{name} does not serve alone yet", waits=Wait.STABLE, then=(FORGET,))
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
        if has_its_place(scene) and Phase.PROMOTED not in phases:
            raise was_promoted(scene, " --despite-edits")
        if entry_of(scene.spec) is None and (
            Phase.PROMOTED not in phases or scene.predictor.get("name") != snapshot.name
        ):
            raise without_candidate(scene)
    elif phase not in phases:
        raise not_running(scene, phase)


def _expect_ready(view: View) -> None:
    """Refuse to promote what does not serve.

    Raises:
        NotReady: the candidate's pods are not up, or nobody splits the traffic.
    """
    if view.candidate.available < view.pods_wanted:
        raise NotReady(f"{view.candidate_name} cannot be promoted yet, it is not ready: {view.candidate.why}")
    if not view.route.names(view.candidate_name):
        raise NotReady(f"{view.candidate_name} cannot be promoted: {_no_split(view)}")


def _is_this(scene: Scene, candidate: Candidate) -> bool:
    return scene.began().uri == candidate.uri and wished(scene) in (0, candidate.percent)


def _no_split(view: View) -> str:
    return f"KServe has not put {view.candidate_name} into HTTPRoute {view.scene.name}"


def _because(view: View) -> str:
    return f": {view.route.why_not}" if view.route.why_not else ""


def _pods(spec: Manifest) -> str:
    pods = candidate_pods(spec)
    return "one pod" if pods == 1 else f"{pods} pods"
