"""One request, sent and timed, for either loop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

from load.answer import NO_ANSWER, Answer, Clients, Connection, Refused
from load.plan import Plan


class Sender:
    """Sends a plan's requests in turn."""

    def __init__(self, plan: Plan, clients: Clients) -> None:
        self.connect = clients.connect
        self._requests: Iterator[bytes] = itertools.cycle([path.read_bytes() for path in plan.requests])
        self._patience_s = plan.patience_s
        self._stops = plan.refusals == "stop"

    def next(self) -> bytes:
        """Return the request whose turn it is."""
        return next(self._requests)

    async def send(self, connection: Connection, request: bytes) -> Answer:
        """Send a request, and wait for its answer as long as the plan says.

        Raises:
            Refused: it is not OK, and the plan is to stop then.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                answer = await connection.exchange(request)
        except TimeoutError:
            answer = Answer(is_ok=False, kind=NO_ANSWER, said=f"within {self._patience_s:g} s")
        if self._stops and not answer.is_ok:
            raise Refused(answer)
        return answer
