"""The generator as a process: plans in, replies out."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from load.child import Child, ChildFailed
from load.closed_loop import FEWEST
from load.encoded import http_request
from load.plan import Closed, Health, Open, Plan, Server
from load.sample import sum_up
from tests.unit.load.answering import BUSY, OK, Answering, answering

REQUEST = http_request("/anything", {}, b"x" * 100_000)


def plan_for(server: Answering, folder: Path, load: Closed | Open, **other: Any) -> Plan:
    request = folder / "request"
    request.write_bytes(REQUEST)
    defaults = {"server": Server(protocol="http", port=server.port), "requests": (request,), "seconds": 30.0}
    return Plan.model_validate({**defaults, "load": load, **other})


def test_a_generator_follows_one_plan_after_the_other(tmp_path: Path) -> None:
    with answering(lambda _: OK) as server, Child() as generator:
        plan = plan_for(server, tmp_path, Closed(clients=4), count=400, pids={"here": os.getpid()})
        first, second = generator.ask(plan), generator.ask(plan)

    for measured in (first, second):
        assert len(measured.latencies_ms) == 400
        assert measured.kinds == {"200": 400}
        assert measured.answer_bytes == 2
        assert measured.sent_bytes == len(REQUEST)
        assert measured.cpu_seconds["here"] > 0
        assert measured.peak_bytes["here"] > 1e6


def test_a_window_waits_for_a_few_requests(tmp_path: Path) -> None:
    with answering(lambda _: OK) as server, Child() as generator:
        measured = generator.ask(plan_for(server, tmp_path, Closed(clients=1), seconds=1e-9))

    assert len(measured.latencies_ms) >= FEWEST


def test_a_refusal_is_told_and_the_generator_goes_on(tmp_path: Path) -> None:
    with answering(lambda number: BUSY if number == 0 else OK) as server, Child() as generator:
        plan = plan_for(server, tmp_path, Closed(clients=1), count=10)
        with pytest.raises(ChildFailed, match=r"429 FULL: .*FULL: later"):
            generator.ask(plan)

        assert len(generator.ask(plan).latencies_ms) == 10


def test_refusals_are_counted_where_the_plan_says_so(tmp_path: Path) -> None:
    with answering(lambda number: BUSY if number % 2 else OK) as server, Child() as generator:
        measured = generator.ask(plan_for(server, tmp_path, Closed(clients=1), count=100, refusals="count"))

    assert measured.kinds == {"200": 50, "429 FULL": 50}
    assert measured.retry_after == 50


def test_an_open_loop_asks_a_real_server_as_often_as_it_was_told(tmp_path: Path) -> None:
    with answering(lambda _: OK) as server, Child() as generator:
        measured = generator.ask(plan_for(server, tmp_path, Open(rate=50, arrivals="fixed"), seconds=1.0))

    sample = sum_up(measured)
    assert sample.requests == 50
    assert sample.lateness is not None
    assert (sample.lateness.due, sample.lateness.unsent) == (50, 0)


def test_a_route_is_asked_beside_the_load(tmp_path: Path) -> None:
    """The answers come whole, and those that are not OK are counted."""

    def script(number: int) -> bytes:
        return BUSY if server.requests[number].startswith(b"GET /v2/health/ready") else OK

    with answering(script) as server, Child() as generator:
        health = {
            name: Health(port=server.port, path=f"/v2/health/{name}", interval_s=0.01) for name in ("live", "ready")
        }
        measured = generator.ask(plan_for(server, tmp_path, Closed(clients=2), seconds=0.5, health=health))

    assert len(measured.probed["live"].latencies_ms) >= 5
    assert measured.probed["live"].refused == 0
    assert measured.probed["ready"].refused == len(measured.probed["ready"].latencies_ms) > 0
    assert set(measured.kinds) == {"200"}


def test_an_interrupted_generator_tells_what_it_measured_and_goes_on(tmp_path: Path) -> None:
    reached = threading.Event()

    def script(number: int) -> bytes:
        if number >= 20:
            reached.set()
        return OK

    with answering(script) as server, Child() as generator:

        def interrupt() -> None:
            assert reached.wait(30)
            generator.interrupt()

        thread = threading.Thread(target=interrupt)
        thread.start()
        measured = generator.ask(plan_for(server, tmp_path, Closed(clients=2), seconds=600.0))
        thread.join()
        again = generator.ask(plan_for(server, tmp_path, Closed(clients=2), count=10))

    assert measured.interrupted
    assert measured.seconds < 60
    assert len(measured.latencies_ms) >= 10
    assert not again.interrupted


def test_an_interruption_before_a_plan_is_there_ends_that_plan_and_no_other(tmp_path: Path) -> None:
    with answering(lambda _: OK) as server, Child() as generator:
        long = plan_for(server, tmp_path, Closed(clients=2), seconds=20.0)
        generator.interrupt()  # while it starts
        first = generator.ask(long)
        second = generator.ask(plan_for(server, tmp_path, Closed(clients=2), count=10))
        generator.interrupt()  # between two plans
        third = generator.ask(long)

    assert [measured.interrupted for measured in (first, second, third)] == [True, False, True]


def test_a_process_that_is_not_there_is_named(tmp_path: Path) -> None:
    with answering(lambda _: OK) as server, Child() as generator:
        plan = plan_for(server, tmp_path, Closed(clients=1), count=10, pids={"gone": 2**22 - 1})
        with pytest.raises(ChildFailed, match="gone: process 4194303 cannot be read"):
            generator.ask(plan)


def test_requests_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with answering(lambda _: OK) as server, Child() as generator:
        plan = plan_for(server, tmp_path, Closed(clients=1))
        plan.requests[0].unlink()
        with pytest.raises(ChildFailed, match="No such file"):
            generator.ask(plan)


def test_a_generator_that_has_ended_is_told(tmp_path: Path) -> None:
    with (
        answering(lambda _: OK) as server,
        Child("load.does_not_exist") as generator,
        pytest.raises(ChildFailed, match=r"has ended|exit code 1"),
    ):
        generator.ask(plan_for(server, tmp_path, Closed(clients=1)))
