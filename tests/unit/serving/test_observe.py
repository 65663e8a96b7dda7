from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from serving.call import Call
from serving.errors import InternalError, Overloaded
from serving.metrics import Metrics
from serving.server import observe
from serving.server.observe import MOST_GATHERED, Observer


class Logged:
    """Stands in the place of the request logger, which structlog would write to a stream that is not the test's."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def info(self, event: str, **values: object) -> None:
        self.lines.append({"event": event, **values})


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Logged:
    lines = Logged()
    monkeypatch.setattr(observe, "requests", lines)
    return lines


def call() -> Call:
    return Call("an-id", "http", model_name="m", model_version="1", rows=2, stages={"decode": 3.0})


def watch(observer: Observer, error: Callable[[], BaseException] | None = None) -> None:
    with observer.request(call()):
        if error is not None:
            raise error()


def counted(registry: CollectorRegistry, code: str) -> float | None:
    labels = {"model": "m", "version": "1", "protocol": "http", "code": code}
    return registry.get_sample_value("kserve_vision_requests_total", labels)


async def test_whoever_reads_the_metrics_finds_every_request_that_has_ended(logged: Logged) -> None:
    metrics = Metrics("transformer")
    observer = Observer(metrics)

    watch(observer)
    with pytest.raises(Overloaded):
        watch(observer, lambda: Overloaded("too much"))

    assert not logged.lines
    assert (counted(metrics.registry, "OK"), counted(metrics.registry, "OVERLOADED")) == (1, 1)
    assert metrics.registry.get_sample_value("kserve_vision_request_rows_sum", {"model": "m"}) == 4
    stage = {"model": "m", "stage": "decode"}
    assert metrics.registry.get_sample_value("kserve_vision_stage_seconds_sum", stage) == pytest.approx(0.006)
    assert [line["code"] for line in logged.lines] == ["OK", "OVERLOADED"]


async def test_a_request_is_logged_with_the_time_at_which_it_ended(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = Observer(Metrics("transformer"))
    monkeypatch.setattr("time.time", lambda: 1000.0)
    watch(observer)
    monkeypatch.setattr("time.time", lambda: 2000.0)

    observer.settle()

    assert [line["ended_at"] for line in logged.lines] == [1000.0]


async def test_requests_are_counted_a_moment_later_though_nobody_reads(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "GATHER_S", 0.0)
    observer = Observer(Metrics("transformer"))

    watch(observer)
    assert not logged.lines
    await asyncio.sleep(0.01)

    assert len(logged.lines) == 1


async def test_no_more_are_kept_than_a_number(logged: Logged) -> None:
    observer = Observer(Metrics("transformer"))

    for _ in range(MOST_GATHERED - 1):
        watch(observer)
    assert not logged.lines
    watch(observer)

    assert len(logged.lines) == MOST_GATHERED


def test_without_an_event_loop_a_request_is_counted_at_once(logged: Logged) -> None:
    watch(Observer(Metrics("transformer")))

    assert len(logged.lines) == 1


@pytest.mark.parametrize(
    ("error", "raised", "code"),
    [
        (lambda: ZeroDivisionError("a bug"), InternalError, "INTERNAL"),
        (lambda: Overloaded("too much"), Overloaded, "OVERLOADED"),
        (asyncio.CancelledError, asyncio.CancelledError, "CANCELLED"),
    ],
    ids=["a bug", "a refusal", "a caller that is gone"],
)
def test_what_ends_a_request_is_its_code_and_nothing_stays_in_flight(
    logged: Logged, error: Callable[[], BaseException], raised: type[BaseException], code: str
) -> None:
    metrics = Metrics("transformer")

    with pytest.raises(raised):
        watch(Observer(metrics), error)

    assert logged.lines[0]["code"] == code
    assert counted(metrics.registry, code) == 1
    assert metrics.registry.get_sample_value("kserve_vision_in_flight_requests") == 0
