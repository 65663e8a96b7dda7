from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cli.tune.verdict import compare, winner

BEFORE = (100.0, 100.0, 100.0)
scores = st.lists(st.floats(min_value=1, max_value=1e5), min_size=1, max_size=5)


def test_more_in_every_round_by_more_than_the_noise_is_better() -> None:
    found = compare(BEFORE, (111, 113, 112))

    assert found.is_better
    assert found.gain == pytest.approx(0.12, abs=0.001)
    assert 0.04 < found.noise < 0.06


def test_a_drift_that_both_share_changes_nothing() -> None:
    found = compare((100, 60, 30), (112, 67.2, 33.6))

    assert found.is_better
    assert found.gain == pytest.approx(0.12)


@pytest.mark.parametrize(
    "after",
    [
        (104, 104, 104),  # less than what any machine differs by
        (130, 99, 130),  # the rounds differ by more
        (106, 107, 130),
        (106, 112, 120),
        (150, 0, 150),  # a round beyond the bound
        (150, 150),  # twice is chance
        (),
        (90, 80, 85),
    ],
)
def test_the_noise_wins_nothing(after: tuple[float, ...]) -> None:
    assert not compare(BEFORE[: len(after)], after).is_better


def test_keeping_a_bound_that_what_there_is_does_not_keep_is_better() -> None:
    assert compare((0, 0, 0), (50, 60, 60)).is_better
    assert compare((0, 100, 100), (50, 120, 120)).is_better
    assert not compare((0, 0, 0), (50, 0, 50)).is_better
    assert not compare((0, 100, 100), (50, 90, 120)).is_better
    assert not compare((0, 0, 0), (0, 0, 0)).is_better


def test_the_most_better_one_wins() -> None:
    little, much, worse = (compare(BEFORE, (factor * 100,) * 3) for factor in (1.1, 1.4, 0.5))
    keeps = compare((0, 0, 0), BEFORE)

    assert winner([little, much, worse]) == 1
    assert winner([much, keeps]) == 1
    assert winner([worse]) is None
    assert winner([]) is None


@given(scores)
def test_nothing_is_better_than_itself(each: list[float]) -> None:
    assert not compare(each, each).is_better


@given(st.lists(st.tuples(st.floats(min_value=1, max_value=1e5), st.floats(min_value=0.2, max_value=5)), max_size=5))
def test_of_two_at_most_one_is_better(rounds: list[tuple[float, float]]) -> None:
    before, after = [score for score, _ in rounds], [score * factor for score, factor in rounds]

    assert not (compare(before, after).is_better and compare(after, before).is_better)


def test_chance_wins_between_equals_about_as_often_as_student_says_and_a_real_gain_is_seen() -> None:
    """Noise of a tenth, and one round in ten that other work halves."""
    chance = np.random.default_rng(0)

    def scores(speed: float) -> NDArray[np.float64]:
        spoiled = np.where(chance.random((500, 5)) < 0.1, 0.5, 1.0)
        return speed * spoiled * np.exp(chance.normal(0, 0.1, (500, 5)))

    def wins(factor: float) -> float:
        pairs = zip(scores(100), scores(100 * factor), strict=True)
        return float(np.mean([compare(list(before), list(after)).is_better for before, after in pairs]))

    assert wins(1.0) < 0.04
    assert wins(1.7) > 0.6
