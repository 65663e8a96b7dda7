"""What both adapters read first: the InferenceService, and the record of its canary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rollout.difference import unified
from rollout.errors import Edited, NoCanary, NotPossible, NotReady, WrongPhase
from rollout.kinds import CONFIG_MAP, INFERENCE_SERVICE, Manifest, is_true, why_not
from rollout.objects import Objects, Operation
from rollout.predictor import uri_of
from rollout.snapshot import Snapshot, from_manifest, record_name, to_manifest
from rollout.step import Create, Patch, Step, delete_of, patch_of
from rollout.traffic import Phase

MAX_TOLD: Final = 5
"""How many differences a message names."""
FORGET: Final = "delete the canary's record"
"""What is meant to be written last."""
LEFT: Final = "a record is left of a start that was not finished, or an abort that was: abort takes it away"
"""What there is to know of a record whose candidate is not there."""
_ENDS: Final = {
    Phase.RECORDED: "was recorded, and not started: start it again, or abort it",
    Phase.ABORTING: "is being aborted: abort finishes that",
    Phase.PROMOTING: "is being promoted: promote finishes that, and abort goes back",
    Phase.PROMOTED: "was promoted: promote takes its record away",
}
"""How a canary ends that does not run."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An InferenceService, and the record of its canary where there is one."""

    service: Manifest
    record: Manifest | None = None
    snapshot: Snapshot | None = None

    @property
    def name(self) -> str:
        """Its name."""
        name: str = self.service["metadata"]["name"]
        return name

    @property
    def namespace(self) -> str:
        """Where it is."""
        namespace: str = self.service["metadata"]["namespace"]
        return namespace

    @property
    def spec(self) -> Manifest:
        """What is asked of KServe."""
        spec: Manifest = self.service["spec"]
        return spec

    @property
    def predictor(self) -> Manifest:
        """The part of the spec that serves the model."""
        predictor: Manifest = self.spec["predictor"]
        return predictor

    def began(self) -> Snapshot:
        """The record.

        Raises:
            NoCanary: no canary runs.
        """
        if self.snapshot is None:
            raise NoCanary(
                f"no canary of {self.name} runs: kserve-vision canary start {self.name} --uri URI starts one"
            )
        return self.snapshot


def read_scene(objects: Objects, namespace: str, name: str) -> Scene:
    """Read an InferenceService and its record; that of an earlier InferenceService of the name does not count.

    Raises:
        NotPossible: there is no such InferenceService.
        ApiError, SnapshotDamaged: as their names say.
    """
    service = objects.get(INFERENCE_SERVICE, namespace, name)
    if service is None:
        raise NotPossible(f"there is no InferenceService {name} in the namespace {namespace}")
    record = objects.get(CONFIG_MAP, namespace, record_name(name))
    snapshot = None if record is None else from_manifest(record)
    if snapshot is not None and snapshot.uid != service["metadata"]["uid"]:
        return Scene(service, record)
    return Scene(service, record, snapshot)


def check_stable(scene: Scene, uri: str) -> None:
    """Refuse to start a candidate beside a version that does not serve, or is the same.

    Raises:
        NotPossible, NotReady: as their names say.
    """
    if uri_of(scene.predictor) == uri:
        raise NotPossible(f"{scene.name} serves {uri} already: give another version another URI")
    if not is_true(scene.service, "Ready"):
        raise NotReady(f"{scene.name} is not ready: {why_not(scene.service, 'Ready') or 'nothing says why'}")


def record(scene: Scene, snapshot: Snapshot, following: Step) -> Step:
    """The step that writes the record, or takes away that of an earlier InferenceService of the name first."""
    says = f"keep the stable version's spec in ConfigMap {record_name(scene.name)}"
    then = (following.says, *following.then)
    if scene.record is not None:
        first = f"delete the record of an earlier InferenceService {scene.name}, ConfigMap {record_name(scene.name)}"
        return Step(first, delete_of(CONFIG_MAP, scene.record), then=(says, *then), changes=following.changes)
    write = Create(CONFIG_MAP, to_manifest(snapshot, scene.service))
    return Step(says, write, then=then, changes=following.changes)


def keep(scene: Scene, snapshot: Snapshot, says: str, following: Step) -> Step:
    """The step that writes another record in the place of the one that was read."""
    if scene.record is None:
        return following
    data = to_manifest(snapshot, scene.service)["data"]
    write = patch_of(CONFIG_MAP, scene.record, [{"op": "replace", "path": "/data", "value": data}])
    then = following.then if following.write is None else (following.says, *following.then)
    return Step(f"{says} in ConfigMap {record_name(scene.name)}", write, then=then, changes=following.changes)


def spec_patch(scene: Scene, spec: Manifest, *more: Operation) -> Patch:
    """The write that replaces the spec, and does `more` with it."""
    return patch_of(INFERENCE_SERVICE, scene.service, (*more, {"op": "replace", "path": "/spec", "value": spec}))


def rewrite(scene: Scene, spec: Manifest, says: str, then: tuple[str, ...] = (), *more: Operation) -> Step:
    """The step of that write."""
    return Step(says, spec_patch(scene, spec, *more), then=then, changes=unified(scene.spec, spec))


def forget(scene: Scene, says: str) -> Step:
    """The last step: delete the record."""
    if scene.record is None:
        return Step(says)
    says = f"{says}; delete its record, ConfigMap {record_name(scene.name)}"
    return Step(says, delete_of(CONFIG_MAP, scene.record), ends=True)


def edited(scene: Scene, differences: tuple[str, ...]) -> Edited:
    """The error that says what somebody changed."""
    told = "; ".join(differences[:MAX_TOLD])
    more = f"; and {len(differences) - MAX_TOLD} more" if len(differences) > MAX_TOLD else ""
    return Edited(
        f"{scene.name} was edited since its canary was started ({told}{more}). Nothing was written. With "
        "--despite-edits, set and promote go on with what is there now, and abort restores the stable version as it "
        "was at the start, without these edits",
        differences,
    )


def runs(scene: Scene) -> WrongPhase:
    """The error that says that a canary is there."""
    snapshot = scene.began()
    return WrongPhase(
        f"a canary of {scene.name} is there already: {snapshot.name}, {snapshot.uri}. Promote or abort it first; "
        f"kserve-vision canary status {scene.name} says how it does"
    )


def not_running(scene: Scene, phase: Phase) -> WrongPhase:
    """The error that says where a canary is that does not run, and what ends it."""
    return WrongPhase(f"the canary of {scene.name} {_ENDS[phase]}")


def without_candidate(scene: Scene) -> WrongPhase:
    """The error that says that somebody took the candidate away."""
    return WrongPhase(f"{scene.name} has no candidate any more: abort ends its canary")


def was_promoted(scene: Scene, option: str = "") -> WrongPhase:
    """The error that says that there is nothing to abort any more; `option` is what promote wants to be given."""
    snapshot = scene.began()
    before = uri_of(snapshot.stable["predictor"])
    return WrongPhase(
        f"{snapshot.name} was promoted already: kserve-vision canary promote {scene.name}{option} takes its record "
        f"away, and a canary with --uri {before} goes back"
    )
