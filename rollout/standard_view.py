"""What there is to see of a canary in Standard mode: where it is, who gets what, what is left over. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rollout.difference import differences
from rollout.kinds import OF, Kind, Manifest
from rollout.mode import Mode
from rollout.predictor import uri_of
from rollout.route import Route
from rollout.scene import LEFT, Scene
from rollout.standard_spec import plain, promoted
from rollout.traffic import ALL, Observed, Phase, Version
from rollout.workload import Workload


@dataclass(frozen=True, slots=True)
class View:
    """All that a decision needs."""

    scene: Scene
    route: Route
    stable: Workload
    candidate: Workload
    stable_name: str
    """The stable version's Deployment and Service."""
    candidate_name: str
    """Those of the candidate; empty where none is."""
    leftovers: tuple[tuple[Kind, Manifest], ...] = ()
    """What KServe does not take away itself: routes and autoscalers of versions that are gone."""

    @property
    def pods_wanted(self) -> int:
        """The pods that the candidate is to have."""
        entry = entry_of(self.scene.spec)
        return max(int((entry or {}).get("predictor", {}).get("minReplicas") or 1), 1)


def entry_of(spec: Manifest) -> Manifest | None:
    """The one entry of `spec.canary`; None where there is none, or several."""
    entries: list[Manifest] = spec.get("canary") or []
    return entries[0] if len(entries) == 1 else None


def wished(scene: Scene) -> int | None:
    """The candidate's share that the spec asks for; None where there is no candidate."""
    entry = entry_of(scene.spec)
    return None if entry is None else int(entry.get("trafficPercent", 0))


def phase_of(scene: Scene) -> Phase:
    """Where the canary is."""
    snapshot = scene.snapshot
    if snapshot is None:
        return Phase.NONE
    before = snapshot.stable["predictor"]
    if (
        not scene.spec.get("canary")
        and uri_of(scene.predictor) == uri_of(before)
        and scene.predictor.get("name") == before.get("name")
    ):
        return Phase.RECORDED  # edited since, it may be: then the record is not of what serves
    if scene.spec == promoted(snapshot.candidate, snapshot):
        return Phase.PROMOTED
    if edits(scene):
        return Phase.EDITED
    return Phase.PROMOTING if wished(scene) == ALL else Phase.RUNNING


def has_its_place(scene: Scene) -> bool:
    """Whether the candidate is the predictor, whatever was edited since."""
    snapshot = scene.snapshot
    if snapshot is None or scene.spec.get("canary") or scene.predictor.get("name") != snapshot.name:
        return False
    return uri_of(scene.predictor) != uri_of(snapshot.stable["predictor"])


def is_renamed(scene: Scene) -> bool:
    """Whether no candidate is there, and what serves has other pods than the stable version had."""
    before = scene.began().stable["predictor"]
    return not scene.spec.get("canary") and scene.predictor.get("name") != before.get("name")


def edits(scene: Scene) -> tuple[str, ...]:
    """What somebody changed since the start."""
    snapshot = scene.began()
    return tuple(differences(plain(snapshot.candidate, snapshot), plain(scene.spec, snapshot)))


def observe(view: View) -> Observed:
    """What there is to see."""
    scene, phase = view.scene, phase_of(view.scene)
    runs = entry_of(scene.spec) is not None and scene.snapshot is not None
    stable, workload = view.stable_name, view.stable
    if has_its_place(scene):
        stable, workload = view.candidate_name, view.candidate
    metadata = scene.service["metadata"]
    return Observed(
        name=scene.name,
        namespace=scene.namespace,
        mode=Mode.STANDARD.spelled,
        phase=phase,
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        stable=_version(view, stable, workload, uri_of(scene.predictor), 1),
        candidate=_candidate(view) if runs else None,
        wished=wished(scene),
        separate_transformer="transformer" in scene.spec,
        differences=edits(scene) if phase is Phase.EDITED else (),
        has_its_place=has_its_place(scene),
        notes=_notes(view, phase),
    )


def is_of_kserve(manifest: Manifest, scene: Scene) -> bool:
    """Whether KServe made it for this InferenceService: it owns it, or says so in a label."""
    metadata = manifest["metadata"]
    owners = {each.get("uid") for each in metadata.get("ownerReferences") or ()}
    label = (metadata.get("labels") or {}).get(OF)
    return scene.service["metadata"]["uid"] in owners or label == scene.name


def _candidate(view: View) -> Version:
    entry = entry_of(view.scene.spec) or {}
    return _version(view, view.candidate_name, view.candidate, uri_of(entry["predictor"]), view.pods_wanted)


def _version(view: View, name: str, workload: Workload, uri: str, pods: int) -> Version:
    ready = workload.available >= pods
    url = f"http://{name}.{view.scene.namespace}"
    return Version(name, uri, view.route.share(name), ready, "" if ready else workload.why, url)


def _notes(view: View, phase: Phase) -> tuple[str, ...]:
    scene, notes = view.scene, []
    if view.route.why_not:
        notes.append(f"what gets which traffic is not known: {view.route.why_not}")
    if "canaryTrafficPercent" in scene.predictor:
        notes.append("canaryTrafficPercent is set, which KServe ignores in Standard mode")
    if phase is Phase.NONE and scene.spec.get("canary"):
        notes.append("spec.canary is set, and kserve-vision did not start that canary: it keeps no way back")
    if (
        phase in (Phase.RUNNING, Phase.PROMOTING)
        and not view.route.why_not
        and not view.route.names(view.candidate_name)
    ):
        notes.append(f"HTTPRoute {scene.name} does not name {view.candidate_name}: it gets no traffic")
    if phase is Phase.RECORDED:
        notes.append(LEFT)
    notes += [f"{kind} {each['metadata']['name']} is left of a version that is gone" for kind, each in view.leftovers]
    return tuple(notes)
