"""Steps are taken to the last, on virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from rollout import Conflict, NoCanary, Stalled, Step, TakenBack, Unreachable, Wait, WrongPhase, drive
from rollout.drive import MAX_SAME, TRIES
from rollout.kinds import CONFIG_MAP
from rollout.step import Delete

WRITE = Delete(CONFIG_MAP, "ns", "name", "uid", "1")


class Scripted:
    """A traffic whose steps are given, and fail as given when they are taken."""

    def __init__(self, steps: Iterable[Step | Exception], failures: Iterable[Exception | None] = ()) -> None:
        self._steps, self._failures = iter(steps), iter(failures)
        self.taken: list[str] = []

    def decide(self) -> Step:
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return step

    def take(self, step: Step) -> None:
        failure = next(self._failures, None)
        if failure is not None:
            raise failure
        self.taken.append(step.says)


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _drive(traffic: Any, tell: Callable[[Step], None] = lambda _: None) -> tuple[Step, float]:
    clock = Clock()
    last = drive(traffic, traffic.decide, limits=dict.fromkeys(Wait, 10.0), tell=tell, clock=clock, sleep=clock.sleep)
    return last, clock.now


def test_writes_follow_each_other_without_a_pause() -> None:
    traffic = Scripted([Step("one", WRITE), Step("two", WRITE), Step("done")])
    assert _drive(traffic) == (Step("done"), 0.0)
    assert traffic.taken == ["one", "two", "done"]


def test_nothing_is_decided_after_a_write_that_ends() -> None:
    assert _drive(Scripted([Step("forget", WRITE, ends=True)]))[0].says == "forget"


def test_what_is_awaited_is_told_once() -> None:
    told: list[str] = []
    waiting = Step("not ready", waits=Wait.CANDIDATE)
    _drive(Scripted([waiting, waiting, waiting, Step("done")]), lambda step: told.append(step.says))
    assert told == ["not ready", "done"]


def test_waiting_ends_with_what_was_awaited() -> None:
    waiting = Step("no pods", waits=Wait.CANDIDATE)
    with pytest.raises(Stalled, match="waited 10 s for the candidate: no pods") as stalled:
        _drive(Scripted([waiting] * 100))
    assert stalled.value.waits == Wait.CANDIDATE


def test_each_thing_that_is_awaited_has_its_own_time() -> None:
    steps = [Step("pods", waits=Wait.CANDIDATE)] * 9 + [Step("split", waits=Wait.SPLIT)] * 9 + [Step("done")]
    assert _drive(Scripted(steps))[0].says == "done"


@pytest.mark.parametrize("failure", [Conflict("409"), Unreachable("503")])
def test_a_step_that_was_overtaken_is_decided_anew(failure: Exception) -> None:
    traffic = Scripted([Step("one", WRITE), Step("two", WRITE), Step("done")], [failure])
    assert _drive(traffic)[0].says == "done"
    assert traffic.taken == ["two", "done"]


def test_what_was_decided_anew_may_not_be_possible_any_more() -> None:
    traffic = Scripted([Step("one", WRITE), WrongPhase("somebody else was faster")], [Conflict("409")])
    with pytest.raises(WrongPhase, match="somebody else"):
        _drive(traffic)
    assert traffic.taken == []


def test_who_is_always_overtaken_gives_up() -> None:
    with pytest.raises(Conflict):
        _drive(Scripted([Step("one", WRITE)] * TRIES, [Conflict("409")] * TRIES))


def test_a_write_that_somebody_takes_back_each_time_is_given_up_and_not_hurried() -> None:
    traffic = Scripted([Step("add it", WRITE), Step("set it", WRITE)] * 100)
    clock = Clock()
    with pytest.raises(TakenBack, match=r"add it\. Who else owns the spec"):
        drive(
            traffic,  # type: ignore[arg-type]
            traffic.decide,
            limits=dict.fromkeys(Wait, 10.0),
            tell=lambda _: None,
            clock=clock,
            sleep=clock.sleep,
        )
    assert traffic.taken == ["add it", "set it"] * MAX_SAME
    assert clock.now == 2 * (MAX_SAME - 1)


def test_a_last_write_whose_answer_got_lost_is_done() -> None:
    last = Step("forget", WRITE, ends=True)
    assert _drive(Scripted([last, NoCanary("none runs")], [Unreachable("timeout")]))[0] is last


def test_that_none_runs_is_no_end_of_what_was_not_written() -> None:
    with pytest.raises(NoCanary):
        _drive(Scripted([Step("set it", WRITE), NoCanary("none runs")], [Unreachable("timeout")]))
