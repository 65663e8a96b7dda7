from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from load.answer import NO_CONNECTION, Answer, Refused
from load.closed_loop import FEWEST, run_closed
from load.measure import measured_by
from load.measured import Measured
from load.plan import Closed
from tests.unit.load.virtual import OK, Scripted, plan_of, sender, tally
from tests.virtual_time import VirtualLoop, run_virtually

BUSY = Answer(is_ok=False, kind="429", said="full", retry_after_s=2.0)
NOBODY = Answer(is_ok=False, kind=NO_CONNECTION, said="refused")


def follow(folder: Path, server: Scripted, clients: int, interrupt_at: float | None = None, **other: Any) -> Measured:
    async def scenario(_: VirtualLoop) -> Measured:
        load = Closed(clients=clients)
        plan, notes = plan_of(folder, load, **other), tally()
        if interrupt_at is not None:
            asyncio.get_running_loop().call_later(interrupt_at, notes.interrupted.set)
        return measured_by(plan, notes, *await run_closed(plan, load, sender(plan, server), notes))

    return run_virtually(scenario)


def test_each_client_sends_again_when_it_has_its_answer(tmp_path: Path) -> None:
    server = Scripted(lambda _now: (0.1, OK))

    measured = follow(tmp_path, server, 3, seconds=1.05)

    assert server.came[:6] == pytest.approx([0.0, 0.0, 0.0, 0.1, 0.1, 0.1])
    assert len(measured.latencies_ms) == 30
    assert measured.latencies_ms == pytest.approx([100.0] * 30)


def test_what_ended_before_the_window_opened_does_not_count(tmp_path: Path) -> None:
    measured = follow(tmp_path, Scripted(lambda _now: (0.1, OK)), 1, ramp_seconds=0.55, seconds=1.0)

    assert len(measured.latencies_ms) == 10
    assert measured.seconds == pytest.approx(1.0)


def test_a_window_closes_early_when_enough_was_answered(tmp_path: Path) -> None:
    measured = follow(tmp_path, Scripted(lambda _now: (0.1, OK)), 2, seconds=600, count=3)

    assert len(measured.latencies_ms) == 3
    assert measured.seconds == pytest.approx(0.2)


def test_a_window_waits_for_a_few_requests(tmp_path: Path) -> None:
    measured = follow(tmp_path, Scripted(lambda _now: (10.0, OK)), 1, seconds=1.0)

    assert len(measured.latencies_ms) == FEWEST
    assert measured.seconds == pytest.approx(10.0 * FEWEST)


@pytest.mark.parametrize(("honours", "asked"), [(False, 11), (True, 1)])
def test_retry_after_is_honoured_where_the_plan_says_so(tmp_path: Path, honours: bool, asked: int) -> None:  # noqa: FBT001
    server = Scripted(lambda now: (0.1, BUSY if now < 1.05 else OK))

    follow(tmp_path, server, 1, seconds=6.0, honour_retry_after=honours)

    assert len([at for at in server.came if at < 1.05]) == asked


def test_clients_do_not_fill_a_core_with_connections_that_are_refused(tmp_path: Path) -> None:
    server = Scripted(lambda _now: (0.0, NOBODY))

    measured = follow(tmp_path, server, 1, seconds=1.0)

    assert 10 <= len(server.came) <= 25
    assert set(measured.kinds) == {NO_CONNECTION}


def test_a_refusal_ends_the_measurement_where_the_plan_says_so(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        follow(tmp_path, Scripted(lambda _now: (0.1, BUSY)), 4, refusals="stop")

    assert caught.group_contains(Refused, match="429: full")


def test_an_interruption_reports_what_was_answered_and_waits_for_nothing_more(tmp_path: Path) -> None:
    measured = follow(
        tmp_path, Scripted(lambda now: (0.1 if now < 0.95 else 50.0, OK)), 1, interrupt_at=1.5, seconds=60.0
    )

    assert measured.interrupted
    assert len(measured.latencies_ms) == 10
    assert measured.seconds == pytest.approx(1.5)
