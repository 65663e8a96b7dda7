from __future__ import annotations

from itertools import pairwise

import pytest

from load.arrivals import arrivals
from load.plan import Open


def test_fixed_arrivals_tick_like_a_clock() -> None:
    assert list(arrivals(Open(rate=4, arrivals="fixed"), 1.0)) == [0.0, 0.25, 0.5, 0.75]


def test_random_arrivals_come_as_often_as_was_asked() -> None:
    due = list(arrivals(Open(rate=100), 100.0))

    assert len(due) == pytest.approx(10_000, rel=0.05)
    assert due == sorted(due)
    assert due[-1] < 100.0


def test_random_arrivals_are_apart_by_the_exponential_distribution() -> None:
    """Its mark: the share of gaps over the mean is 1/e."""
    due = list(arrivals(Open(rate=100), 100.0))
    gaps = [after - before for before, after in pairwise(due)]

    assert sum(gap > 0.01 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02)


def test_a_seed_has_its_own_arrivals_and_the_same_ones_each_time() -> None:
    first, again, other = (list(arrivals(Open(rate=50, seed=seed), 1.0)) for seed in (1, 1, 2))

    assert first == again
    assert first != other
