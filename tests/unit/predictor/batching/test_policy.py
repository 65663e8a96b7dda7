from __future__ import annotations

import pytest

from predictor.batching.costs import Costs
from predictor.batching.policy import Arrivals, Policy

GPU = {1: 0.0100, 2: 0.0105, 4: 0.0110, 8: 0.0120}
"""Seconds of a run by its size, where rows cost hardly anything beside the first."""
CPU = {1: 0.010, 2: 0.020, 4: 0.040}


def arrivals(*times: float) -> Arrivals:
    noted = Arrivals()
    for time in times:
        noted.note(time, 1)
    return noted


def policy(seconds: dict[int, float], **changes: object) -> Policy:
    return Policy(Costs(seconds), **{"max_delay_s": 0.005, **changes})  # type: ignore[arg-type]


def test_without_a_delay_rows_go_at_once() -> None:
    dense = arrivals(0.0, 0.0001)

    assert policy(GPU, max_delay_s=0.0).go_at(1, 0.0001, dense, free_lanes=1, now=0.0001) == 0.0001


def test_where_batches_do_not_pay_rows_go_at_once() -> None:
    dense = arrivals(0.0, 0.0001)

    assert policy(CPU).go_at(1, 0.0001, dense, free_lanes=1, now=0.0001) == 0.0001


def test_a_row_waits_for_the_next_one_that_comes_soon() -> None:
    dense = arrivals(0.0, 0.001)

    assert policy(GPU).go_at(1, 0.001, dense, free_lanes=1, now=0.001) == pytest.approx(0.002)


def test_a_row_does_not_wait_for_one_that_comes_late() -> None:
    sparse = arrivals(0.0, 0.020)

    assert policy(GPU).go_at(1, 0.020, sparse, free_lanes=1, now=0.020) == 0.020


def test_waiting_ends_when_the_stream_does() -> None:
    dense = arrivals(0.0, 0.001)

    assert policy(GPU).go_at(1, 0.001, dense, free_lanes=1, now=0.0045) == 0.0045


def test_a_row_does_not_wait_where_the_next_one_finds_a_lane_of_its_own() -> None:
    dense = arrivals(0.0, 0.004)

    assert policy(GPU).go_at(1, 0.004, dense, free_lanes=2, now=0.004) == 0.004


def test_the_first_request_of_all_does_not_wait() -> None:
    assert policy(GPU).go_at(1, 0.0, arrivals(0.0), free_lanes=1, now=0.0) == 0.0


def test_a_full_batch_goes_at_once() -> None:
    assert policy(GPU, adaptive=False).go_at(8, 0.0, arrivals(0.0), free_lanes=1, now=0.0) == 0.0


def test_without_adaption_rows_wait_for_all_of_the_delay() -> None:
    fixed = policy(GPU, adaptive=False)

    assert fixed.go_at(1, 1.0, arrivals(1.0), free_lanes=1, now=1.0) == 1.005
    assert fixed.go_at(1, 1.0, arrivals(1.0), free_lanes=1, now=1.006) == 1.006


def test_no_row_waits_longer_than_the_delay() -> None:
    dense = arrivals(0.0, 0.001)

    assert policy(GPU).go_at(1, 0.001 - 0.0045, dense, free_lanes=1, now=0.001) <= 0.001 + 0.0005


@pytest.mark.parametrize(
    ("seconds", "rows", "size"),
    [
        (GPU, 1, 1),
        (GPU, 3, 4),  # three of four is still the most a second
        (GPU, 100, 8),
        (CPU, 4, 1),
        ({1: 0.010, 4: 0.012, 8: 0.022}, 5, 4),  # four now, rather than eight with three empty places
        ({4: 0.010}, 1, 4),
    ],
)
def test_the_size_is_the_one_that_does_the_most_rows_in_a_second(
    seconds: dict[int, float], rows: int, size: int
) -> None:
    assert policy(seconds).size(rows, free_lanes=1, now=0.0) == size


def test_lanes_with_cores_of_their_own_share_the_rows() -> None:
    assert policy(GPU, parallel=True).size(8, free_lanes=2, now=0.0) == 4
    assert policy(GPU, parallel=False).size(8, free_lanes=2, now=0.0) == 8


def test_rows_of_one_request_are_as_many_arrivals() -> None:
    noted = Arrivals()
    noted.note(0.0, 1)
    noted.note(0.008, 8)

    assert noted.gap(0.008) == pytest.approx(0.001)
