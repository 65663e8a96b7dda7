"""The closed loop: clients that send, wait for the answer, and send again, watched through one window of time.

::

    ramp ──▶ window opens (CPU read) ──▶ window closes (CPU read) ──▶ the last requests end, connections close

A request counts where it ended. Those that are cut by the window's opening stand for those that are cut by its close.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from load.answer import NO_CONNECTION, Answer
from load.plan import Closed, Plan
from load.readings import Reading, read
from load.sending import Sender
from load.tally import Tally
from load.waiting import wait_any

FEWEST: Final = 5
"""Requests that a window waits for, however long: a slow variant on a busy machine must still have a sample."""
BREATH_S: Final = 0.05
"""How long a client waits before it tries again to connect: else those that are refused would fill a core."""


@dataclass
class _Clients:
    """What the clients of one closed loop share."""

    sender: Sender
    tally: Tally
    enough: int | None
    honours_retry_after: bool
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    some: asyncio.Event = field(default_factory=asyncio.Event)
    full: asyncio.Event = field(default_factory=asyncio.Event)

    async def run_one(self) -> None:
        connection = self.sender.connect()
        while not self.stopped.is_set():
            request = self.sender.next()
            started = self.tally.clock()
            answer = await self.sender.send(connection, request)
            self._note(answer, self.tally.clock() - started, len(request))
            if not answer.is_ok:
                await self._breathe(answer)

    def _note(self, answer: Answer, seconds: float, sent: int) -> None:
        if not self.tally.is_open:
            return
        self.tally.note_end(answer)
        self.tally.note(answer, seconds, sent)
        if self.tally.noted >= FEWEST:
            self.some.set()
        if self.enough is not None and self.tally.noted >= self.enough:
            self.tally.is_open = False
            self.stopped.set()
            self.some.set()
            self.full.set()

    async def _breathe(self, answer: Answer) -> None:
        pause = BREATH_S if answer.kind == NO_CONNECTION else 0.0
        if self.honours_retry_after and answer.retry_after_s is not None:
            pause = max(pause, answer.retry_after_s)
        if pause:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.stopped.wait()


async def run_closed(plan: Plan, load: Closed, sender: Sender, tally: Tally) -> tuple[Reading, Reading]:
    """Follow a plan; return what was read of the processes at both ends of the window.

    Raises:
        Refused: an answer was not OK, and the plan is to stop then.
    """
    clients = _Clients(sender, tally, plan.count, plan.honour_retry_after)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(clients.run_one()) for _ in range(load.clients)]
        readings = await _watch(plan, clients, tally)
        if tally.interrupted.is_set():
            for task in running:
                task.cancel()
    return readings


async def _watch(plan: Plan, clients: _Clients, tally: Tally) -> tuple[Reading, Reading]:
    try:
        await wait_any(plan.ramp_seconds, tally.interrupted)
        before = read(plan.pids, tally.clock())
        tally.is_open = True
        await wait_any(plan.seconds, clients.full, tally.interrupted)
        await wait_any(None, clients.some, tally.interrupted)
        after = read(plan.pids, tally.clock())
    finally:
        tally.is_open = False
        clients.stopped.set()
    return before, after
