"""A route that is asked beside the load: whether the server's event loop still turns while it is busy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from load.answer import NO_ANSWER, Answer
from load.http import HttpClients
from load.measured import Probed
from load.plan import Health, Server
from load.tally import Tally

PATIENCE_S: Final = 10.0


@dataclass
class HealthProbe:
    """Asks one route at a steady pace, one question at a time, on a connection of its own."""

    health: Health
    _latencies_ms: list[float] = field(default_factory=list)
    _refused: int = 0

    async def run(self, tally: Tally) -> None:
        """Ask until cancelled; what is due while the window is open counts, from when it was due."""
        clients = HttpClients(Server(protocol="http", host=self.health.host, port=self.health.port))
        connection = clients.connect()
        request = f"GET {self.health.path} HTTP/1.1\r\nhost: {self.health.host}\r\n\r\n".encode()
        start = time.perf_counter()
        try:
            for number in count():
                due = start + number * self.health.interval_s
                await asyncio.sleep(max(due - time.perf_counter(), 0.0))
                belongs, sent = tally.is_open, time.perf_counter()
                # A timer's tick, and the load that this same event loop sends, are no fault of the server.
                on_time = sent - due < self.health.interval_s
                answer = await _ask(connection.exchange(request))
                if belongs:
                    self._note(answer, time.perf_counter() - (sent if on_time else due))
        finally:
            await clients.close()

    def probed(self) -> Probed:
        """Return what was found."""
        return Probed(latencies_ms=tuple(self._latencies_ms), refused=self._refused)

    def _note(self, answer: Answer, seconds: float) -> None:
        self._latencies_ms.append(1000 * seconds)
        self._refused += not answer.is_ok


async def _ask(exchange: Awaitable[Answer]) -> Answer:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await exchange
    except TimeoutError:
        return Answer(is_ok=False, kind=NO_ANSWER)
