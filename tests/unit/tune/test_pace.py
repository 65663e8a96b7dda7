from __future__ import annotations

from cli.tune.pace import Pace, best_of, finalists, fitting, least_s, reserve_s, rounded_up, rounds_within


def test_windows_that_only_sort_are_shorter_but_hold_some_requests() -> None:
    assert Pace(3.0).short_s == 1.0
    assert Pace(1.0).short_s == 0.5
    assert Pace(0.2).short_s == 0.2


def test_a_third_is_looked_at_longer() -> None:
    assert best_of([1, 2, 3, 4, 5, 6]) == [1, 2]
    assert best_of([1, 2, 3, 4]) == [1, 2]
    assert best_of([1]) == [1]
    assert best_of([]) == []


def test_what_is_hopeless_is_not_measured_again() -> None:
    assert finalists([("a", 110.0), ("b", 90.0), ("c", 89.0)], 100.0) == ["a", "b"]
    assert finalists([("a", 90.0), ("b", 40.0)], 100.0) == ["a"]
    assert finalists([("a", 40.0)], 100.0) == []
    assert finalists([("a", 0.0)], 0.0) == []


def test_as_many_rounds_as_there_is_time_for_and_no_more_than_are_of_use() -> None:
    assert rounds_within(left_s=35, round_s=10) == 3
    assert rounds_within(left_s=-5, round_s=10) == 0
    assert rounds_within(left_s=1000, round_s=10) == 5


def test_the_final_has_the_time_that_it_usually_takes_but_leaves_some_to_try_candidates() -> None:
    assert reserve_s(300, final_s=10) == 90
    assert reserve_s(140, final_s=10) == 70
    assert reserve_s(10, final_s=10) == 60


def test_the_budget_that_is_needed_is_for_a_trial_and_three_rounds_of_two() -> None:
    assert rounded_up(7 + least_s(trial_s=6, final_s=11)) == 80


def test_windows_are_as_long_as_asked_as_long_as_they_fit_and_not_too_short() -> None:
    def cost_s(pace: Pace) -> float:
        return 10 * pace.seconds

    assert fitting(Pace(3.0), cost_s, left_s=30) == Pace(3.0)
    shortened = fitting(Pace(3.0), cost_s, left_s=20)
    assert shortened is not None
    assert 1.8 < shortened.seconds <= 2.0
    assert fitting(Pace(3.0), cost_s, left_s=5) == Pace(0.5)
    assert fitting(Pace(3.0), cost_s, left_s=4) is None
    assert fitting(Pace(0.2), cost_s, left_s=1) is None
