"""The specs of a canary in Standard mode: before, during and after. Pure."""

from __future__ import annotations

import copy
from typing import Any, Final

from rollout.kinds import Manifest
from rollout.predictor import implementation, with_uri
from rollout.replicas import for_share, stable_replicas, with_room
from rollout.snapshot import Snapshot

BOUNDS: Final = ("minReplicas", "maxReplicas")


def started(spec: Manifest, name: str, uri: str, percent: int) -> Manifest:
    """A spec with a candidate that gets nothing yet, and has the pods for its share.

    Raises:
        NotPossible: the predictor names its model in a way that is not known here.
    """
    candidate: dict[str, Any] = {"name": name, **implementation(with_uri(spec["predictor"], uri))}
    changed = copy.deepcopy(spec) | {"canary": [{"trafficPercent": 0, "predictor": candidate}]}
    return _with_pods(changed, spec["predictor"], for_share(spec["predictor"], percent))


def with_share(spec: Manifest, snapshot: Snapshot, percent: int) -> Manifest:
    """A spec whose candidate gets a share, and has the pods for it."""
    changed = with_traffic(spec, percent)
    before = snapshot.stable["predictor"]
    return _with_pods(changed, before, for_share(before, percent))


def with_traffic(spec: Manifest, percent: int) -> Manifest:
    """A spec whose candidate gets a share, and keeps its pods."""
    changed = copy.deepcopy(spec)
    changed["canary"][0]["trafficPercent"] = percent
    return changed


def sized(spec: Manifest, snapshot: Snapshot, percent: int) -> Manifest:
    """A spec whose candidate has the pods for a larger share, and still the share that it has."""
    before = snapshot.stable["predictor"]
    return _with_pods(copy.deepcopy(spec), before, max(candidate_pods(spec), for_share(before, percent)))


def enlarged(spec: Manifest, snapshot: Snapshot) -> Manifest:
    """A spec whose candidate has as many pods as the stable version, which keeps its own."""
    before = snapshot.stable["predictor"]
    return _with_pods(copy.deepcopy(spec), before, stable_replicas(before))


def promoted(spec: Manifest, snapshot: Snapshot) -> Manifest:
    """A spec of the candidate alone, with the stable version's other fields and number of pods."""
    changed = copy.deepcopy(spec)
    candidate = changed.pop("canary")[0]["predictor"]
    changed["predictor"] = {**changed["predictor"], **implementation(candidate), "name": candidate["name"]}
    return _with_bounds(changed, snapshot.stable["predictor"])


def plain(spec: Manifest, snapshot: Snapshot) -> Manifest:
    """A spec without what steps of a canary set."""
    before, changed = snapshot.stable["predictor"], copy.deepcopy(spec)
    if spec.get("canary") and _bounds(spec["predictor"]) == _bounds(with_room(before, candidate_pods(spec))):
        changed = _with_bounds(changed, before)
    for entry in changed.get("canary") or ():
        entry.pop("trafficPercent", None)
        entry["predictor"].pop("minReplicas", None)
    return changed


def with_edited_bounds(spec: Manifest, snapshot: Snapshot) -> Snapshot:
    """The record with the number of pods that somebody gave the stable version since the start; the same where nobody
    did. What is not the room that a candidate was given is an edit.
    """
    if not spec.get("canary"):
        return snapshot
    before, there = snapshot.stable["predictor"], spec["predictor"]
    roomy = [with_room(before, pods) for pods in _pods_given(spec, snapshot)]

    def is_ours(bound: str) -> bool:
        return there.get(bound) in [each.get(bound) for each in roomy]

    fewest, most = ((before if is_ours(bound) else there).get(bound) for bound in BOUNDS)
    if (fewest, most) == _bounds(before):
        return snapshot
    if most is not None and most < (fewest or 1):
        most = there["maxReplicas"]
    wanted = {key: value for key, value in zip(BOUNDS, (fewest, most), strict=True) if value is not None}
    stable = _with_bounds(copy.deepcopy(snapshot.stable), wanted)
    room = with_room(stable["predictor"], candidate_pods(snapshot.candidate))
    candidate = _with_bounds(copy.deepcopy(snapshot.candidate), room)
    return snapshot.model_copy(update={"stable": stable, "candidate": candidate})


def is_roomy(spec: Manifest, snapshot: Snapshot) -> bool:
    """Whether a spec without a candidate is the stable version's but for the room that one had: somebody took
    `spec.canary` away by hand.
    """
    before = snapshot.stable["predictor"]
    rooms = [_bounds(with_room(before, pods)) for pods in range(1, stable_replicas(before) + 1)]
    return _bounds(spec["predictor"]) in rooms and _with_bounds(copy.deepcopy(spec), before) == snapshot.stable


def candidate_pods(spec: Manifest) -> int:
    """The pods that a candidate asks for."""
    return int(spec["canary"][0]["predictor"].get("minReplicas") or 0)


def _pods_given(spec: Manifest, snapshot: Snapshot) -> tuple[int, ...]:
    """The numbers of pods that a step may have given the candidate: those that it asks for, and where somebody edited
    these, those for its share, or of the start.

    No others that a step could give: each is a bound that somebody may have chosen for the stable version.
    """
    for_its_share = for_share(snapshot.stable["predictor"], int(spec["canary"][0].get("trafficPercent") or 0))
    return candidate_pods(spec), for_its_share, candidate_pods(snapshot.candidate)


def _with_pods(changed: Manifest, before: Manifest, pods: int) -> Manifest:
    """A spec whose candidate has some pods, beside those that the stable version had before."""
    changed["canary"][0]["predictor"]["minReplicas"] = pods
    return _with_bounds(changed, with_room(before, pods))


def _bounds(predictor: Manifest) -> tuple[Any, Any]:
    fewest, most = (predictor.get(key) for key in BOUNDS)
    return fewest, most


def _with_bounds(spec: Manifest, like: Manifest) -> Manifest:
    """A spec whose predictor has the number of pods of another."""
    for key in BOUNDS:
        spec["predictor"].pop(key, None)
        if key in like:
            spec["predictor"][key] = like[key]
    return spec
