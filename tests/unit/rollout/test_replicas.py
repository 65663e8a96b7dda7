"""How many pods each version asks for."""

from __future__ import annotations

import pytest

from rollout.kinds import Manifest
from rollout.replicas import doubled, for_share, may_be_said, stable_replicas


@pytest.mark.parametrize(
    ("fewest", "percent", "pods"),
    [(None, 10, 1), (1, 99, 1), (4, 0, 1), (4, 25, 1), (4, 26, 2), (4, 99, 4), (10, 50, 5)],
)
def test_a_candidate_has_as_large_a_share_of_the_pods(fewest: int | None, percent: int, pods: int) -> None:
    assert for_share({"minReplicas": fewest}, percent) == pods


@pytest.mark.parametrize(
    ("predictor", "wanted"),
    [
        ({}, {"minReplicas": 2}),
        ({"minReplicas": 4}, {"minReplicas": 8}),
        ({"minReplicas": 4, "maxReplicas": 6}, {"minReplicas": 8, "maxReplicas": 8}),
        ({"minReplicas": 4, "maxReplicas": 20}, {"minReplicas": 8, "maxReplicas": 20}),
    ],
)
def test_room_for_a_candidate_of_the_same_size_keeps_the_stable_versions_own(
    predictor: Manifest, wanted: Manifest
) -> None:
    assert doubled(predictor) == wanted
    assert doubled(predictor)["minReplicas"] - stable_replicas(predictor) == stable_replicas(predictor)


def test_a_candidate_says_no_number_where_the_stable_version_may_have_none() -> None:
    assert not may_be_said({"minReplicas": 0})
    assert may_be_said({})
