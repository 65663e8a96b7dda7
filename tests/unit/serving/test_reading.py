"""Long JSON is read on a few threads, in its order, and only while somebody waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import pytest_asyncio
from starlette.requests import Request

from serving.call import Call
from serving.errors import DeadlineExceeded, TensorInvalid
from serving.server.reading import LONG_JSON_BYTES, THREADS, RequestReader
from serving.v2 import InferRequest, rest

PATIENCE_S = 20.0


def body(numbers: int, name: str = "x", datatype: str = "UINT8") -> bytes:
    tensor = {"name": name, "datatype": datatype, "shape": [numbers], "data": [7] * numbers}
    return orjson.dumps({"inputs": [tensor]})


LONG = body(LONG_JSON_BYTES)


def request(limit_s: float | None = None) -> Request:
    call = Call("an-id", "v2-rest")
    if limit_s is not None:
        call.limit(limit_s)
    return Request({"type": "http", "headers": [], "state": {"call": call, "headers": {}}})


@dataclass
class Gate:
    """Sees what is read, and holds what is read on a thread until the test opens the gate."""

    open: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    read: list[tuple[str, bool]] = field(default_factory=list)
    """The name of each request's first tensor, and whether it was read on the event loop's thread."""

    def decode(self, *arguments: Any) -> InferRequest:
        decoded = DECODE(*arguments)
        on_loop = threading.current_thread() is threading.main_thread()
        self.read.append((decoded.inputs[0].name, on_loop))
        self.begun.release()
        assert on_loop or self.open.wait(PATIENCE_S)
        return decoded

    async def until_all_threads_are_busy(self) -> None:
        for _ in range(THREADS):
            assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE_S)


DECODE = rest.decode_request


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(rest, "decode_request", gate.decode)
    yield gate
    gate.open.set()


@pytest_asyncio.fixture
async def reader(gate: Gate) -> AsyncIterator[RequestReader]:
    reader = RequestReader()
    yield reader
    gate.open.set()
    await reader.close()


def begin(reader: RequestReader, name: str, limit_s: float | None = None) -> asyncio.Task[InferRequest]:
    return asyncio.create_task(reader.read(body(LONG_JSON_BYTES, name), request(limit_s), "m", None))


async def test_short_json_is_read_at_once_and_long_json_on_a_thread(reader: RequestReader, gate: Gate) -> None:
    gate.open.set()
    short = await reader.read(body(100), request(), "m", None)
    long = await reader.read(LONG, request(), "m", None)

    assert (short.inputs[0].array.size, long.inputs[0].array.size) == (100, LONG_JSON_BYTES)
    assert [on_loop for _, on_loop in gate.read] == [True, False]


async def test_a_bounded_number_is_read_at_a_time_in_order_and_nothing_for_those_who_are_gone(
    reader: RequestReader, gate: Gate
) -> None:
    busy = [begin(reader, "busy") for _ in range(THREADS)]
    await gate.until_all_threads_are_busy()
    gone, *waiting = [begin(reader, name) for name in ("gone", "first", "second")]
    await asyncio.sleep(0)
    gone.cancel()
    short = await reader.read(body(1, "short"), request(), "m", None)
    assert short.inputs[0].name == "short", "the event loop is free meanwhile"
    assert [name for name, _ in gate.read] == ["busy"] * THREADS + ["short"]

    gate.open.set()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*busy, *waiting)

    assert gone.cancelled()
    assert {name for name, _ in gate.read[THREADS + 1 :]} == {"first", "second"}


async def test_a_request_whose_time_is_over_before_its_turn_is_told_so(reader: RequestReader, gate: Gate) -> None:
    busy = [begin(reader, "busy") for _ in range(THREADS)]
    await gate.until_all_threads_are_busy()

    with pytest.raises(DeadlineExceeded, match="was not read in the time"):
        await begin(reader, "late", 0.05)

    gate.open.set()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*busy)
    assert [name for name, _ in gate.read] == ["busy"] * THREADS


async def test_what_is_wrong_in_long_json_is_told(reader: RequestReader) -> None:
    with pytest.raises(TensorInvalid, match="FP7"):
        await reader.read(body(LONG_JSON_BYTES, datatype="FP7"), request(), "m", None)
