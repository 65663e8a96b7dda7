from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.sample import Lateness, Percentiles, Sample
from load.search import MAX_RATES, PRECISION, WINDOWS, Found, Search, Verdict, judge

BOUND_MS = 100.0


def sample(p99_ms: float = 50.0, refused: int = 0, achieved: float = 1.0, **other: object) -> Sample:
    latency = Percentiles(p50_ms=1, p90_ms=1, p95_ms=1, p99_ms=p99_ms, p999_ms=p99_ms, max_ms=p99_ms)
    values = {"requests": 1000, "per_second": 1, "latency": latency, "refused": refused, "achieved": achieved}
    return Sample.model_validate({**values, "cpu_ms": {}, **other})


@dataclass
class Machine:
    """A server whose latency leaps over the bound at a rate; some of its windows are spoiled by others' work."""

    capacity: float
    spoiled: Callable[[int], bool] = lambda _number: False
    rates: list[float] = field(default_factory=list)

    def window(self, rate: float) -> Sample:
        self.rates.append(rate)
        holds = rate <= self.capacity and not self.spoiled(len(self.rates))
        return sample(p99_ms=50.0 if holds else 500.0)


def search(machine: Machine, estimate: float) -> Found:
    shown: list[Verdict] = []
    found = Search(BOUND_MS, machine.window, shown.append).run(estimate)
    assert tuple(shown) == found.verdicts
    return found


@given(st.floats(min_value=0.5, max_value=5000), st.floats(min_value=0.3, max_value=3))
def test_the_rate_that_is_found_is_next_to_the_true_one(capacity: float, error: float) -> None:
    """Whatever the closed loop was wrong by."""
    found = search(Machine(capacity), error * capacity)

    assert found.best is not None
    assert found.fails is not None
    assert found.best.rate <= capacity < found.fails
    assert found.fails - found.best.rate <= (PRECISION + 0.02) * found.best.rate  # rates are of three digits


def test_one_hiccup_does_not_change_what_is_found() -> None:
    quiet, spoiled = Machine(150), Machine(150, spoiled=lambda number: number % 4 == 2)

    best = [search(machine, 160).best for machine in (quiet, spoiled)]

    assert best[0] is not None
    assert best[1] is not None
    assert best[0].rate == best[1].rate
    assert len(spoiled.rates) > len(quiet.rates)


def test_a_rate_is_judged_by_the_majority_of_three_windows_at_the_most() -> None:
    machine = Machine(150, spoiled=lambda number: number % 2 == 0)

    search(machine, 160)

    assert max(machine.rates.count(rate) for rate in machine.rates) == WINDOWS


def test_where_no_rate_holds_none_is_found_and_the_search_ends() -> None:
    machine = Machine(0.0)
    found = search(machine, 160)

    assert found.best is None
    assert found.windows_of_best == ()
    assert min(machine.rates) >= 160 / 64


@given(st.randoms())
def test_a_search_ends_whatever_the_machine_does(random: object) -> None:
    choose = random.random  # type: ignore[attr-defined]  # hypothesis' Random
    machine = Machine(1e9, spoiled=lambda _number: choose() < 0.5)

    search(machine, 100)

    assert len(machine.rates) <= MAX_RATES * WINDOWS


def test_an_interrupted_search_tells_what_it_knows() -> None:
    windows = iter([sample(), sample(), sample(interrupted=True)])
    found = Search(BOUND_MS, lambda _rate: next(windows), lambda _verdict: None).run(100)

    assert found.best is not None
    assert found.best.rate == 80
    assert found.fails is None


@pytest.mark.parametrize(
    ("window", "why_not"),
    [
        (sample(), ""),
        (sample(p99_ms=BOUND_MS), ""),
        (sample(p99_ms=101), "p99 101 ms"),
        (sample(refused=1), "1 of 1001 refused"),
        (sample(achieved=0.94), "only 94% answered in time"),
        (sample(achieved=0.95), ""),
        (sample(latency=None, requests=0), "no answer"),
        (sample(lateness=Lateness(due=100, late=0, worst_ms=0, crowded=9, unsent=9)), "9 could not be sent"),
        (
            sample(lateness=Lateness(due=100, late=40, worst_ms=150, crowded=0, unsent=0)),
            "the load generator itself was up to 150 ms late",
        ),
        (sample(lateness=Lateness(due=100, late=40, worst_ms=5, crowded=0, unsent=0)), ""),
    ],
)
def test_a_window_holds_or_says_why_not(window: Sample, why_not: str) -> None:
    verdict = judge(10.0, window, BOUND_MS)

    assert verdict.why_not == why_not
    assert verdict.holds == (not why_not)
