"""The closed loop: clients that send, wait for the answer, and send again, watched through one window of time.

::

    ramp ──▶ window opens (CPU read) ──▶ window closes (CPU read) ──▶ the last requests end, connections close

A request counts where it ended. Those that are cut by the window's opening stand for those that are cut by its close.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from bench.cpu import cpu_of_each, used_between
from bench.load.plan import Plan
from bench.measured import Measured

FEWEST: Final = 5
"""Requests that a window waits for, however long: a slow variant on a busy machine must still have a sample."""
PATIENCE_S: Final = 60.0
"""Seconds after which a request that has no answer ends the measurement."""


class Connection(Protocol):
    """What a client sends through."""

    async def exchange(self, request: bytes) -> int:
        """Send a request, and return the length of its answer."""


class Clients(Protocol):
    """Opens connections, and closes them."""

    async def connect(self) -> Connection:
        """Open one."""

    async def close(self) -> None:
        """Close all."""


@dataclass
class _Window:
    """What the clients note down; one event loop owns it."""

    requests: Iterator[bytes]
    enough: int | None
    is_open: bool = False
    stopped: bool = False
    some: asyncio.Event = field(default_factory=asyncio.Event)
    full: asyncio.Event = field(default_factory=asyncio.Event)
    latencies_ms: list[float] = field(default_factory=list)
    sent_bytes: int = 0
    answer_bytes: int = 0

    def note(self, seconds: float, sent: int, received: int) -> None:
        if not self.is_open:
            return
        self.latencies_ms.append(1000 * seconds)
        self.sent_bytes += sent
        self.answer_bytes += received
        if len(self.latencies_ms) >= FEWEST:
            self.some.set()
        if self.enough is not None and len(self.latencies_ms) >= self.enough:
            self.is_open = False
            self.stopped = True
            self.some.set()
            self.full.set()


async def measure(plan: Plan, clients: Clients) -> Measured:
    """Follow a plan.

    Raises:
        BadAnswer, ConnectionError, grpc.aio.AioRpcError, TimeoutError: a request failed, and with it the measurement.
    """
    requests = itertools.cycle([path.read_bytes() for path in plan.requests])
    window = _Window(requests, plan.count)
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(plan.clients):
                tasks.create_task(_client(clients, window))
            return await _watch(window, plan)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    finally:
        await clients.close()


async def _client(clients: Clients, window: _Window) -> None:
    connection: Connection | None = None
    while not window.stopped:
        request = next(window.requests)
        started = time.perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            connection = connection or await clients.connect()
            length = await connection.exchange(request)
        window.note(time.perf_counter() - started, len(request), length)


async def _watch(window: _Window, plan: Plan) -> Measured:
    await asyncio.sleep(plan.ramp_seconds)
    cpu_before, started = cpu_of_each(plan.pids), time.perf_counter()
    window.is_open = True
    try:
        async with asyncio.timeout(plan.seconds):
            await window.full.wait()
    except TimeoutError:
        await window.some.wait()
    seconds, cpu_after = time.perf_counter() - started, cpu_of_each(plan.pids)
    window.is_open, window.stopped = False, True
    count = len(window.latencies_ms)
    return Measured(
        seconds=seconds,
        latencies_ms=tuple(window.latencies_ms),
        cpu_seconds=used_between(cpu_before, cpu_after),
        sent_bytes=window.sent_bytes / count,
        answer_bytes=window.answer_bytes / count,
    )
