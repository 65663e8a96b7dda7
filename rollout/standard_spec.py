"""The specs of a canary in Standard mode: before, during and after. Pure."""

from __future__ import annotations

import copy
from typing import Any

from rollout.kinds import Manifest
from rollout.predictor import implementation, with_uri
from rollout.replicas import doubled, for_share, may_be_said, stable_replicas
from rollout.snapshot import Snapshot


def started(spec: Manifest, name: str, uri: str, percent: int) -> Manifest:
    """A spec with a candidate that gets nothing yet, and has the pods for its share.

    Raises:
        NotPossible: the predictor names its model in a way that is not known here.
    """
    predictor = spec["predictor"]
    candidate: dict[str, Any] = {"name": name, **implementation(with_uri(predictor, uri))}
    if may_be_said(predictor):
        candidate["minReplicas"] = for_share(predictor, percent)
    return copy.deepcopy(spec) | {"canary": [{"trafficPercent": 0, "predictor": candidate}]}


def with_share(spec: Manifest, percent: int) -> Manifest:
    """A spec whose candidate gets a share, and has the pods for it."""
    changed = copy.deepcopy(spec)
    entry = changed["canary"][0]
    entry["trafficPercent"] = percent
    if may_be_said(spec["predictor"]) and "minReplicas" in entry["predictor"]:
        entry["predictor"]["minReplicas"] = for_share(spec["predictor"], percent)
    return changed


def sized(spec: Manifest, percent: int) -> Manifest:
    """A spec whose candidate has the pods for a larger share, and still the share that it has."""
    changed = copy.deepcopy(spec)
    candidate = changed["canary"][0]["predictor"]
    if may_be_said(spec["predictor"]) and "minReplicas" in candidate:
        candidate["minReplicas"] = max(candidate["minReplicas"], for_share(spec["predictor"], percent))
    return changed


def enlarged(spec: Manifest) -> Manifest:
    """A spec whose candidate has as many pods as the stable version, which keeps its own."""
    changed = copy.deepcopy(spec)
    if may_be_said(spec["predictor"]):
        changed["predictor"] = doubled(spec["predictor"])
        changed["canary"][0]["predictor"]["minReplicas"] = stable_replicas(spec["predictor"])
    return changed


def is_enlarged(spec: Manifest, snapshot: Snapshot) -> bool:
    """Whether a candidate has as many pods as the stable version had."""
    before = snapshot.stable["predictor"]
    if not may_be_said(before):
        return True
    wanted = doubled(before)
    return _bounds(spec["predictor"]) == _bounds(wanted)


def promoted(spec: Manifest, snapshot: Snapshot) -> Manifest:
    """A spec of the candidate alone, with the stable version's other fields and number of pods."""
    changed = copy.deepcopy(spec)
    candidate = changed.pop("canary")[0]["predictor"]
    changed["predictor"] = {**changed["predictor"], **implementation(candidate), "name": candidate["name"]}
    return _with_bounds(changed, snapshot.stable["predictor"])


def plain(spec: Manifest, snapshot: Snapshot) -> Manifest:
    """A spec without what steps of a canary set."""
    changed = copy.deepcopy(spec)
    if is_enlarged(spec, snapshot):
        changed = _with_bounds(changed, snapshot.stable["predictor"])
    for entry in changed.get("canary") or ():
        entry.pop("trafficPercent", None)
        entry["predictor"].pop("minReplicas", None)
    return changed


def _bounds(predictor: Manifest) -> tuple[Any, Any]:
    return predictor.get("minReplicas"), predictor.get("maxReplicas")


def _with_bounds(spec: Manifest, like: Manifest) -> Manifest:
    """A spec whose predictor has the number of pods of another."""
    for key in ("minReplicas", "maxReplicas"):
        spec["predictor"].pop(key, None)
        if key in like:
            spec["predictor"][key] = like[key]
    return spec
