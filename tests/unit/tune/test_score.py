from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.tune.score import (
    MOST_CLIENTS,
    Bound,
    Level,
    best_level,
    knee,
    ladder,
    next_clients,
    next_of,
    score,
    seconds_of,
)
from tests.unit.tune.made_up import P99_100, curve, sample


def test_the_score_is_the_most_rows_a_second_that_keep_the_bound() -> None:
    found = curve({1: (100, 10), 2: (180, 40), 4: (170, 90)})

    assert score(found, P99_100) == 180


def test_between_two_loads_the_throughput_at_the_bound_is_read_off_the_line() -> None:
    found = curve({1: (100, 10), 2: (200, 1000)})

    assert score(found, P99_100) == pytest.approx(150)  # 100 ms is half way from 10 to 1000, by its logarithm


@given(st.floats(min_value=99, max_value=101))
def test_a_window_that_just_misses_the_bound_costs_little(p99_ms: float) -> None:
    assert score(curve({1: (100, 10), 2: (200, p99_ms)}), P99_100) == pytest.approx(200, rel=0.01)


def test_what_comes_after_the_first_load_beyond_the_bound_does_not_count() -> None:
    found = curve({1: (100, 50), 2: (110, 100.001), 4: (500, 60)})

    assert score(found, P99_100) == pytest.approx(110, rel=0.01)


def test_a_lone_client_beyond_the_bound_scores_nothing() -> None:
    found = curve({1: (5, 200), 2: (10, 300)})

    assert score(found, P99_100) == 0
    assert best_level(found, P99_100) is None
    assert score((), P99_100) == 0


def test_a_load_that_was_refused_is_beyond_the_bound() -> None:
    refused = Level(clients=2, sample=sample(400, 10, refused=1))

    assert score((*curve({1: (100, 10)}), refused), P99_100) == 100


def test_without_a_bound_the_median_may_be_three_times_a_lone_requests() -> None:
    assert knee(sample(100, p50_ms=8, p99_ms=50)) == Bound(percentile="p50", ms=24)


def test_clients_are_doubled_while_they_bring_more() -> None:
    assert next_clients((), P99_100) == 1
    assert next_clients(curve({1: (100, 10)}), P99_100) == 2
    assert next_clients(curve({1: (100, 10), 2: (101, 20)}), P99_100) == 4
    assert next_clients(curve({1: (100, 10), 2: (101, 20), 4: (101, 40)}), P99_100) is None
    assert next_clients(curve({1: (100, 10), 2: (101, 20), 4: (150, 40)}), P99_100) == 8
    assert next_clients(curve({1: (100, 10), 2: (200, 101)}), P99_100) is None


def test_the_climb_ends() -> None:
    found = curve({2**power: (2.0**power, 1) for power in range(int(math.log2(MOST_CLIENTS)) + 1)})

    assert next_clients(found, P99_100) is None


def test_a_second_look_is_about_the_best_load_and_the_same_for_all() -> None:
    early, late = curve({1: (9, 1), 2: (8, 1)}), curve({1: (1, 1), 2: (2, 1), 4: (3, 1), 8: (9, 1), 16: (8, 1)})

    assert ladder([late], P99_100, lanes=1) == (1, 4, 8, 16)
    assert ladder([early], P99_100, lanes=1) == (1, 2)
    assert ladder([early], P99_100, lanes=3) == (1, 2, 4)
    assert ladder([early, late], P99_100, lanes=1) == (1, 2, 4, 8, 16)
    assert ladder([curve({1: (9, 1000)})], P99_100, lanes=1) == (1, 2)


def test_a_second_look_ends_beyond_the_bound() -> None:
    assert next_of((1, 4, 8), (), P99_100) == 1
    assert next_of((1, 4, 8), curve({1: (1, 1)}), P99_100) == 4
    assert next_of((1, 4, 8), curve({1: (1, 1), 4: (1, 101)}), P99_100) is None
    assert next_of((1, 4), curve({1: (1, 1), 4: (1, 1)}), P99_100) is None


def test_a_slow_models_windows_are_longer_than_they_should_be() -> None:
    assert seconds_of((1, 2), curve({1: (100, 10), 2: (100, 10)}), 1.0, 0.5) == 3.0
    assert seconds_of((1,), curve({1: (0.1, 20_000)}), 1.0, 0.5) == 20.5
    assert seconds_of((1, 4), curve({1: (1, 1000), 2: (1, 20_000)}), 1.0, 0.0) == 21.0
