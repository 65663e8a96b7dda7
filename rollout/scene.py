"""What both adapters read first: the InferenceService, and the record of its canary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rollout.errors import Edited, NoCanary, NotPossible, WrongPhase
from rollout.kinds import CONFIG_MAP, INFERENCE_SERVICE, Manifest
from rollout.objects import Objects
from rollout.predictor import uri_of
from rollout.snapshot import Snapshot, from_manifest, record_name, to_manifest
from rollout.step import Create, Step, delete_of

MAX_TOLD: Final = 5
"""How many differences a message names."""
FORGET: Final = "delete the canary's record"
"""What is meant to be written last."""


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


def record(scene: Scene, snapshot: Snapshot, then: tuple[str, ...]) -> Step:
    """The step that writes the record, or takes away that of an earlier InferenceService of the name first."""
    says = f"keep the stable version's spec in ConfigMap {record_name(scene.name)}"
    if scene.record is not None:
        first = f"delete the record of an earlier InferenceService {scene.name}, ConfigMap {record_name(scene.name)}"
        return Step(first, delete_of(CONFIG_MAP, scene.record), then=(says, *then))
    return Step(says, Create(CONFIG_MAP, to_manifest(snapshot, scene.service)), then=then)


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


def was_promoted(scene: Scene, option: str = "") -> WrongPhase:
    """The error that says that there is nothing to abort any more; `option` is what promote wants to be given."""
    snapshot = scene.began()
    before = uri_of(snapshot.stable["predictor"])
    return WrongPhase(
        f"{snapshot.name} was promoted already: kserve-vision canary promote {scene.name}{option} takes its record "
        f"away, and a canary with --uri {before} goes back"
    )
