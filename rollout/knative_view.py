"""What there is to see of a canary in Knative mode: where it is, and who gets what. Pure."""

from __future__ import annotations

import copy
from typing import Final

from rollout.difference import differences
from rollout.kinds import Manifest
from rollout.knative_service import Revisions
from rollout.mode import Mode
from rollout.predictor import uri_of
from rollout.scene import LEFT, Scene
from rollout.traffic import ALL, Observed, Phase, Version

PERCENT: Final = "canaryTrafficPercent"


def plain(spec: Manifest) -> Manifest:
    """A spec without what steps of a canary set."""
    copied = copy.deepcopy(spec)
    copied["predictor"].pop(PERCENT, None)
    return copied


def wished(scene: Scene) -> int | None:
    """The candidate's share that the spec asks for; None where the newest revision is to have all."""
    percent = scene.predictor.get(PERCENT)
    return None if percent is None or percent >= ALL else int(percent)


def phase_of(scene: Scene, revisions: Revisions) -> Phase:
    """Where the canary is."""
    snapshot = scene.snapshot
    if snapshot is None:
        return Phase.NONE
    if wished(scene) is None and uri_of(scene.predictor) == uri_of(snapshot.stable["predictor"]):
        return Phase.RECORDED  # edited since, it may be: then the record is not of what serves
    found = plain(scene.spec)
    if found == plain(snapshot.stable):
        return Phase.ABORTING
    if found != snapshot.candidate:
        return Phase.EDITED
    if wished(scene) is not None:
        return Phase.RUNNING
    rolled_out = revisions.is_settled and revisions.serves(snapshot.uri)
    return Phase.PROMOTED if rolled_out else Phase.PROMOTING


def edits(scene: Scene) -> tuple[str, ...]:
    """What somebody changed since the start."""
    return tuple(differences(scene.began().candidate, plain(scene.spec)))


def observe(scene: Scene, revisions: Revisions) -> Observed:
    """What there is to see."""
    phase, snapshot = phase_of(scene, revisions), scene.snapshot
    alone = phase in (Phase.NONE, Phase.PROMOTED) or (phase is Phase.RECORDED and revisions.is_settled)
    stable = revisions.created if alone else revisions.rolled_out
    stable_uri = uri_of(scene.predictor) if alone or snapshot is None else uri_of(snapshot.stable["predictor"])
    metadata = scene.service["metadata"]
    return Observed(
        name=scene.name,
        namespace=scene.namespace,
        mode=Mode.KNATIVE.spelled,
        phase=phase,
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        stable=Version(
            name=stable,
            uri=stable_uri,
            percent=revisions.share(stable),
            ready=revisions.newest_is_ready if alone else True,
            why=revisions.why if alone else "",
            url=revisions.url(stable) or str(scene.service.get("status", {}).get("url", "")),
        ),
        candidate=None if alone else _candidate(scene, revisions),
        wished=wished(scene),
        separate_transformer="transformer" in scene.spec,
        differences=edits(scene) if phase is Phase.EDITED else (),
        notes=_notes(scene, phase),
    )


def _candidate(scene: Scene, revisions: Revisions) -> Version:
    """The newest revision: the candidate, or on the way back the restored stable version."""
    uri = uri_of(scene.predictor)
    is_there = revisions.serves(uri) and revisions.created != revisions.rolled_out
    ready = is_there and revisions.newest_is_ready
    return Version(
        name=revisions.created if is_there else "(no revision yet)",
        uri=uri,
        percent=revisions.share(revisions.created) if is_there else 0,
        ready=ready,
        why="" if ready else revisions.why if is_there else "KServe has not passed it on to Knative yet",
        url=revisions.url(revisions.created) if is_there else "",
    )


def _notes(scene: Scene, phase: Phase) -> tuple[str, ...]:
    notes = []
    if phase is Phase.NONE and wished(scene) is not None:
        notes.append(f"{PERCENT} is {wished(scene)}, which kserve-vision did not set: it keeps no way back")
    if phase is Phase.RECORDED:
        notes.append(LEFT)
    if "transformer" in scene.spec and phase is not Phase.NONE:
        notes.append("each hop draws by itself: the transformer asks either version, whichever was asked first")
    return tuple(notes)
