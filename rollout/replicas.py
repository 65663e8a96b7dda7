"""How many pods two versions have in Standard mode, where KServe takes the candidate's from the stable version's.

KServe subtracts what a candidate asks for from the stable predictor's `minReplicas`, at once, whether or not the
candidate gets any traffic; and a candidate may not ask for more than the stable predictor does. So that the stable
version keeps its size until it is replaced, it asks for both as long as a candidate is there: its own, and those that
are subtracted.
"""

from __future__ import annotations

import copy
import math

from rollout.kinds import Manifest


def stable_replicas(predictor: Manifest) -> int:
    """The fewest pods of the stable version: KServe's autoscaler never goes below one."""
    return max(int(predictor.get("minReplicas") or 1), 1)


def for_share(predictor: Manifest, percent: int) -> int:
    """The pods of a candidate that gets a share of the traffic: as large a share of the pods, and one at least."""
    return max(math.ceil(stable_replicas(predictor) * percent / 100), 1)


def with_room(predictor: Manifest, pods: int) -> Manifest:
    """The stable predictor with room for a candidate of some pods, so that what is subtracted leaves its own."""
    changed = copy.deepcopy(predictor)
    fewest = stable_replicas(predictor) + pods
    changed["minReplicas"] = fewest
    if predictor.get("maxReplicas"):
        changed["maxReplicas"] = max(int(predictor["maxReplicas"]), fewest)
    return changed
