"""Traffic in Knative mode: `canaryTrafficPercent` splits it between the newest revision and the one rolled out last.

How a step is safe here:

- A revision gets traffic only when it is ready, so that a candidate can be given its share at once.
- `latestRevision` at 100 % is the newest revision that is *ready*. Restoring the stable spec makes a new revision, and
  until that is ready the newest ready one is the candidate: an abort restores the spec *and* asks for 0 % in one write,
  and takes the percentage away only when the restored revision is ready.
- At 100 % KServe takes the newest revision for rolled out, so that nothing is left to go back to: a candidate has 99 %
  at most until it is promoted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from typing_extensions import override

from rollout.contracts import check_separate
from rollout.errors import NotReady, WrongPhase
from rollout.kinds import KNATIVE_SERVICE, Manifest
from rollout.knative_service import Revisions
from rollout.knative_view import PERCENT, edits, observe, phase_of, plain, wished
from rollout.mode import Mode
from rollout.naming import check_tags, name_for
from rollout.objects import Objects, Operation
from rollout.predictor import check_uri, uri_of, with_uri
from rollout.scene import (
    FORGET,
    Scene,
    check_stable,
    edited,
    forget,
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
from rollout.step import Step, Wait
from rollout.traffic import Candidate, Observed, Phase, Traffic, check_percent

TAG_ROUTING: Final = "serving.kserve.io/enable-tag-routing"
TAG_PATH: Final = f"/metadata/annotations/{TAG_ROUTING.replace('/', '~1')}"


class KnativeTraffic(Traffic):
    """The traffic of one InferenceService that Knative serves. See `rollout.traffic.Traffic`."""

    def __init__(self, objects: Objects, namespace: str, name: str) -> None:
        self._objects = objects
        self._namespace = namespace
        self._name = name

    @override
    def read(self) -> Observed:
        scene, revisions = self._look()
        return observe(scene, revisions)

    @override
    def start(self, candidate: Candidate) -> Step:
        check_percent(candidate.percent)
        check_uri(candidate.uri)
        scene, revisions = self._look()
        match phase_of(scene, revisions):
            case Phase.NONE:
                _check_contracts(scene, candidate)
                snapshot = self._plan(scene, revisions, candidate)
                return record(scene, snapshot, _go_on(replace(scene, snapshot=snapshot), candidate))
            case Phase.RECORDED:
                _check_contracts(scene, candidate)
                return _go_on(scene, candidate)
            case Phase.RUNNING if _is_this(scene, candidate):
                return _settle(scene, revisions)
            case _:
                raise runs(scene)

    @override
    def set_percent(self, percent: int, *, despite_edits: bool = False) -> Step:
        check_percent(percent)
        scene, revisions = self._look()
        _expect_running(scene, revisions, despite_edits=despite_edits)
        if wished(scene) == percent:
            return _settle(scene, revisions)
        return rewrite(scene, _with_share(scene.spec, percent), f"set {PERCENT} from {wished(scene)} to {percent}")

    @override
    def promote(self, *, despite_edits: bool = False) -> Step:
        scene, revisions = self._look()
        _expect_running(scene, revisions, despite_edits=despite_edits, promoting=True)
        snapshot = scene.began()
        if wished(scene) is None:
            if not revisions.is_settled or not revisions.serves(uri_of(scene.predictor)):
                says = _awaited(revisions, f"{revisions.created} has not all traffic yet")
                return Step(says, waits=Wait.SPLIT, then=(FORGET,))
            return forget(scene, f"{snapshot.name} ({revisions.created}) is the stable version{_kept(scene)}")
        _expect_ready(scene, revisions)
        says = f"take {PERCENT} away, so that {revisions.created} gets all traffic"
        return rewrite(scene, plain(scene.spec), says, (f"{FORGET}, once it has all",))

    @override
    def abort(self, *, despite_edits: bool = False) -> Step:
        scene, revisions = self._look()
        snapshot = scene.began()
        match phase_of(scene, revisions):
            case Phase.PROMOTED:
                raise was_promoted(scene)
            case Phase.EDITED if not despite_edits:
                raise edited(scene, edits(scene))
            case Phase.RECORDED:
                if not revisions.is_settled or not revisions.serves(uri_of(scene.predictor)):
                    says = _awaited(revisions, "the restored revision has not all traffic yet")
                    return Step(says, waits=Wait.STABLE, then=(FORGET,))
                return forget(scene, f"{uri_of(scene.predictor)} serves alone")
            case Phase.ABORTING:
                return _finish_abort(scene, revisions, snapshot)
            case _:
                return _restore(scene, snapshot)

    @override
    def take(self, step: Step) -> None:
        if step.write is not None:
            step.write.take(self._objects)

    def _look(self) -> tuple[Scene, Revisions]:
        scene = read_scene(self._objects, self._namespace, self._name)
        name = f"{self._name}-predictor"
        knative = self._objects.get(KNATIVE_SERVICE, self._namespace, name)
        if knative is None:
            raise NotReady(f"{self._name} has no Knative Service {name} yet")
        component = (scene.service.get("status", {}).get("components") or {}).get("predictor") or {}
        return scene, Revisions(knative, component.get("latestRolledoutRevision", ""))

    def _plan(self, scene: Scene, revisions: Revisions, candidate: Candidate) -> Snapshot:
        """The record of a canary that would begin: tried on the API server, without being kept."""
        _check_stable(scene, revisions, candidate)
        name = name_for(candidate.uri, candidate.name, "")
        check_tags(scene.name, scene.namespace, *(each for each in ("predictor", "transformer") if each in scene.spec))
        tried = spec_patch(scene, _started(scene, candidate), *_tag(scene, "true")).try_out(self._objects)
        return Snapshot(
            mode=Mode.KNATIVE.spelled,
            uid=scene.service["metadata"]["uid"],
            name=name,
            uri=candidate.uri,
            percent=candidate.percent,
            stable=scene.spec,
            candidate=plain(tried["spec"]),
            stable_revision=revisions.rolled_out,
            tag_routing=_annotations(scene).get(TAG_ROUTING),
        )


def _check_contracts(scene: Scene, candidate: Candidate) -> None:
    if "transformer" in scene.spec:
        check_separate(*candidate.contracts)


def _check_stable(scene: Scene, revisions: Revisions, candidate: Candidate) -> None:
    if wished(scene) is not None:
        raise WrongPhase(
            f"{scene.name} has {PERCENT} {wished(scene)}, and kserve-vision did not start that canary: take the field "
            "away (which promotes its newest revision) or go back to the spec before it, and start again"
        )
    check_stable(scene, candidate.uri)
    if not revisions.is_settled:
        raise NotReady(f"the last revision of {scene.name} has not all traffic yet: {revisions.why or 'wait'}")


def _go_on(scene: Scene, candidate: Candidate) -> Step:
    """The write of a start whose record is there."""
    snapshot = scene.began()
    if snapshot.uri != candidate.uri or snapshot.stable != scene.spec:
        raise runs(scene)
    says = (
        f"set the model to {candidate.uri}, {PERCENT} to {candidate.percent}, and the annotation {TAG_ROUTING}, so "
        "that the candidate can be asked alone"
    )
    return rewrite(scene, _started(scene, candidate), says, (), *_tag(scene, "true"))


def _started(scene: Scene, candidate: Candidate) -> Manifest:
    changed = scene.spec | {"predictor": with_uri(scene.predictor, candidate.uri)}
    return _with_share(changed, candidate.percent)


def _restore(scene: Scene, snapshot: Snapshot) -> Step:
    says = f"restore the spec of the stable version ({uri_of(snapshot.stable['predictor'])}), and set {PERCENT} to 0"
    then = (f"take {PERCENT} away, once the restored revision is ready", FORGET)
    return rewrite(scene, _with_share(snapshot.stable, 0), says, then, *_tag(scene, snapshot.tag_routing))


def _finish_abort(scene: Scene, revisions: Revisions, snapshot: Snapshot) -> Step:
    """Take the percentage away, once the newest ready revision is the restored one."""
    if not (revisions.serves(uri_of(scene.predictor)) and revisions.newest_is_ready and revisions.asked == 0):
        says = f"{revisions.rolled_out} has the traffic; the restored revision is not ready"
        then = (f"take {PERCENT} away, once the restored revision is ready", FORGET)
        return Step(_awaited(revisions, says), waits=Wait.STABLE, then=then)
    return rewrite(scene, snapshot.stable, f"take {PERCENT} away, so that {revisions.created} gets all traffic")


def _settle(scene: Scene, revisions: Revisions) -> Step:
    """Wait until Knative does what the spec asks."""
    percent = wished(scene)
    if not revisions.serves(uri_of(scene.predictor)):
        return Step("KServe has not passed the candidate on to Knative yet", waits=Wait.CANDIDATE)
    if not revisions.newest_is_ready or revisions.created == revisions.rolled_out:
        name = revisions.created if revisions.is_fresh else "the candidate"
        return Step(_awaited(revisions, f"{name} is not ready"), waits=Wait.CANDIDATE)
    if revisions.asked != percent or revisions.share(revisions.created) != percent:
        return Step(f"Knative does not give {revisions.created} its {percent} % yet", waits=Wait.SPLIT)
    return Step(f"{revisions.created} has {percent} % of the traffic")


def _expect_running(scene: Scene, revisions: Revisions, *, despite_edits: bool, promoting: bool = False) -> None:
    snapshot = scene.began()
    allowed = (Phase.RUNNING, Phase.PROMOTING, Phase.PROMOTED) if promoting else (Phase.RUNNING,)
    phase = phase_of(scene, revisions)
    if phase is Phase.EDITED:
        if not despite_edits:
            raise edited(scene, edits(scene))
        if uri_of(scene.predictor) == uri_of(snapshot.stable["predictor"]) or (wished(scene) is None and not promoting):
            raise without_candidate(scene)
        return
    if phase not in allowed:
        raise not_running(scene, phase)


def _expect_ready(scene: Scene, revisions: Revisions) -> None:
    """Refuse to promote what does not serve.

    Raises:
        NotReady: the candidate is not ready, or has not the share that the spec asks for.
    """
    step = _settle(scene, revisions)
    if step.waits is not None:
        raise NotReady(f"the candidate of {scene.name} cannot be promoted yet: {step.says}")


def _is_this(scene: Scene, candidate: Candidate) -> bool:
    return scene.began().uri == candidate.uri and wished(scene) == candidate.percent


def _awaited(revisions: Revisions, says: str) -> str:
    return f"{says}: {revisions.why}" if revisions.why else says


def _annotations(scene: Scene) -> Manifest:
    annotations: Manifest = scene.service["metadata"].get("annotations") or {}
    return annotations


def _kept(scene: Scene) -> str:
    """What a promotion says of the annotation that the start set: KServe copies it to revisions."""
    if _annotations(scene).get(TAG_ROUTING) == scene.began().tag_routing:
        return ""
    return f" (the annotation {TAG_ROUTING} stays: another revision would be made without it)"


def _tag(scene: Scene, value: str | None) -> tuple[Operation, ...]:
    """The operations that bring the annotation of tag routing to a value; None takes it away."""
    annotations = _annotations(scene)
    if annotations.get(TAG_ROUTING) == value:
        return ()
    if value is None:
        return ({"op": "remove", "path": TAG_PATH},)
    if not annotations:
        return ({"op": "add", "path": "/metadata/annotations", "value": {TAG_ROUTING: value}},)
    return ({"op": "add", "path": TAG_PATH, "value": value},)


def _with_share(spec: Manifest, percent: int) -> Manifest:
    return spec | {"predictor": spec["predictor"] | {PERCENT: percent}}
