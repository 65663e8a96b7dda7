"""How many pods two versions have in Standard mode, where KServe takes the candidate's from the stable version's.

KServe subtracts a candidate's `minReplicas` from the stable predictor's, and a candidate may not have more than the
stable predictor asks for. So that a candidate can be as large as the stable version before it is promoted, without
making that smaller meanwhile, the stable predictor asks for twice as many: its own, and those that are subtracted.
"""

from __future__ import annotations

import copy
import math

from rollout.kinds import Manifest


def stable_replicas(predictor: Manifest) -> int:
    """The fewest pods of the stable version: KServe's autoscaler never goes below one."""
    return max(int(predictor.get("minReplicas") or 1), 1)


def may_be_said(predictor: Manifest) -> bool:
    """Whether a candidate may say a number: KServe refuses one above the stable predictor's, which may be 0."""
    asked = predictor.get("minReplicas")
    return asked is None or asked > 0


def for_share(predictor: Manifest, percent: int) -> int:
    """The pods of a candidate that gets a share of the traffic: as large a share of the pods, and one at least."""
    return max(math.ceil(stable_replicas(predictor) * percent / 100), 1)


def doubled(predictor: Manifest) -> Manifest:
    """The stable predictor with room for a candidate of its own size."""
    changed = copy.deepcopy(predictor)
    twice = 2 * stable_replicas(predictor)
    changed["minReplicas"] = twice
    if predictor.get("maxReplicas"):
        changed["maxReplicas"] = max(int(predictor["maxReplicas"]), twice)
    return changed
