"""How many pods each version asks for."""

from __future__ import annotations

import pytest

from rollout.kinds import Manifest
from rollout.replicas import for_share, stable_replicas, with_room


@pytest.mark.parametrize(
    ("fewest", "percent", "pods"),
    [(None, 10, 1), (1, 99, 1), (4, 0, 1), (4, 25, 1), (4, 26, 2), (4, 99, 4), (10, 50, 5)],
)
def test_a_candidate_has_as_large_a_share_of_the_pods(fewest: int | None, percent: int, pods: int) -> None:
    assert for_share({"minReplicas": fewest}, percent) == pods


@pytest.mark.parametrize(
    ("predictor", "pods", "wanted"),
    [
        ({}, 1, {"minReplicas": 2}),
        ({"minReplicas": 0}, 1, {"minReplicas": 2}),
        ({"minReplicas": 4}, 3, {"minReplicas": 7}),
        ({"minReplicas": 4, "maxReplicas": 6}, 4, {"minReplicas": 8, "maxReplicas": 8}),
        ({"minReplicas": 4, "maxReplicas": 20}, 4, {"minReplicas": 8, "maxReplicas": 20}),
    ],
)
def test_room_for_a_candidate_keeps_the_stable_versions_own(predictor: Manifest, pods: int, wanted: Manifest) -> None:
    assert with_room(predictor, pods) == wanted
    assert with_room(predictor, pods)["minReplicas"] - pods == stable_replicas(predictor)
