from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from load.answer import Answer, Refused
from load.measure import measured_by
from load.measured import Measured
from load.open_loop import run_open
from load.plan import Open
from tests.unit.load.virtual import OK, Scripted, plan_of, sender, tally
from tests.virtual_time import VirtualLoop, run_virtually

BUSY = Answer(is_ok=False, kind="429 OVERLOADED", said="full", retry_after_s=1.0)


def follow(folder: Path, server: Scripted, load: Open, **other: Any) -> Measured:
    async def scenario(_: VirtualLoop) -> Measured:
        plan, notes = plan_of(folder, load, **other), tally()
        return measured_by(plan, notes, *await run_open(plan, load, sender(plan, server), notes))

    return run_virtually(scenario)


def fixed(rate: float, **other: Any) -> Open:
    return Open(rate=rate, arrivals="fixed", **other)


def test_requests_come_when_they_are_due_however_slow_the_answers(tmp_path: Path) -> None:
    server = Scripted(lambda _now: (10.0, OK))

    measured = follow(tmp_path, server, fixed(4))

    assert server.came == [0.0, 0.25, 0.5, 0.75]
    assert measured.latencies_ms == pytest.approx([10_000] * 4)
    assert measured.in_window == 0  # all of them ended after the window


def test_a_connection_is_used_again_when_it_is_free(tmp_path: Path) -> None:
    server = Scripted(lambda _now: (0.1, OK))

    follow(tmp_path, server, fixed(20))

    assert len(server.came) == 20
    assert server.connections in {2, 3}


def test_a_stall_is_in_the_latency_of_all_requests_that_it_held_up(tmp_path: Path) -> None:
    """One request at a time, and a server that stops for half a second: the five that are due meanwhile are late."""
    server = Scripted(lambda now: (0.5 if now < 0.05 else 0.001, OK))

    measured = follow(tmp_path, server, fixed(10, max_outstanding=1))

    assert measured.latencies_ms[0] == pytest.approx(500)
    assert measured.latencies_ms[1:5] == pytest.approx([401, 302, 203, 104])
    assert measured.latencies_ms[6:] == pytest.approx([1.0] * 4)
    assert measured.sending is not None
    assert measured.sending.crowded == 5
    assert len(measured.sending.late_ms) == 5


def test_what_finds_no_place_before_the_window_closes_is_counted_as_never_sent(tmp_path: Path) -> None:
    measured = follow(tmp_path, Scripted(lambda _now: (5.0, OK)), fixed(10, max_outstanding=3))

    assert measured.sending is not None
    assert measured.sending.due == 10
    assert measured.sending.unsent == 7
    assert len(measured.latencies_ms) == 3


def test_only_what_is_due_in_the_window_counts(tmp_path: Path) -> None:
    measured = follow(tmp_path, Scripted(lambda _now: (0.01, OK)), fixed(10), ramp_seconds=2.0)

    assert len(measured.latencies_ms) == 10
    assert measured.sending is not None
    assert measured.sending.due == 10
    assert measured.seconds == pytest.approx(1.0)


def test_throughput_is_of_the_answers_that_ended_in_the_window(tmp_path: Path) -> None:
    """Answers take half a second: those of the ramp's end come into the window, those of its own end do not."""
    measured = follow(tmp_path, Scripted(lambda _now: (0.501, OK)), fixed(10), ramp_seconds=1.0)

    assert measured.in_window == 10
    assert len(measured.latencies_ms) == 10


def test_refusals_are_counted_by_their_kind_and_quoted_once(tmp_path: Path) -> None:
    measured = follow(tmp_path, Scripted(lambda now: (0.01, BUSY if now > 0.45 else OK)), fixed(10))

    assert measured.kinds == {"200": 5, "429 OVERLOADED": 5}
    assert measured.said == {"429 OVERLOADED": "full"}
    assert measured.retry_after == 5
    assert len(measured.refused_ms) == 5


def test_an_answer_that_does_not_come_is_an_answer_of_its_own_kind(tmp_path: Path) -> None:
    measured = follow(tmp_path, Scripted(lambda _now: (100.0, OK)), fixed(2), patience_s=3.0)

    assert measured.kinds == {"no answer in time": 2}
    assert measured.refused_ms == pytest.approx([3000, 3000])


def test_a_refusal_ends_the_measurement_where_the_plan_says_so(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        follow(tmp_path, Scripted(lambda _now: (0.01, BUSY)), fixed(10), refusals="stop")

    assert caught.group_contains(Refused, match="429 OVERLOADED: full")


def test_an_interruption_reports_what_was_answered_and_waits_for_nothing_more(tmp_path: Path) -> None:
    async def scenario(_: VirtualLoop) -> tuple[Measured, float]:
        load = fixed(10)
        plan, notes = plan_of(tmp_path, load, seconds=60), tally()
        loop = asyncio.get_running_loop()
        loop.call_later(1.05, notes.interrupted.set)
        server = Scripted(lambda now: (0.01 if now < 1 else 50.0, OK))
        readings = await run_open(plan, load, sender(plan, server), notes)
        return measured_by(plan, notes, *readings), loop.time()

    measured, ended = run_virtually(scenario)

    assert ended == pytest.approx(1.05)
    assert measured.interrupted
    assert len(measured.latencies_ms) == 10
    assert measured.seconds == pytest.approx(1.05)
