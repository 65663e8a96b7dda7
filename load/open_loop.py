"""The open loop: requests at a rate, whether or not those before them were answered.

::

    ramp ──▶ window opens (CPU read) ──▶ window closes (CPU read), nothing more is sent ──▶ the last answers

A latency is counted from the moment at which a request was *due*, not from when it was sent: if it was counted from
there, a server that stalls would hold up the requests that would have met its stall, and seem fast ("coordinated
omission", Gil Tene). Requests that are due in the window belong to it, however late their answer. The throughput is
that of the answers that ended in it.

The timers of an event loop tick in milliseconds, so that a request goes out up to one late where nothing is wrong.
`TICK_S` forgives that: such a request is counted from when it was sent. Whatever is later than that is the fault of
the generator, or of `max_outstanding`, and is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from load.answer import Connection
from load.arrivals import arrivals
from load.plan import Open, Plan
from load.readings import Reading, read
from load.sending import Sender
from load.tally import Tally
from load.waiting import wait_any

TICK_S: Final = 0.002
HURRY: Final = 16
"""Requests that are sent in a row, where so many are due, before answers are looked at."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A request that is to be sent."""

    at: float
    belongs: bool
    """Whether it is due while the window is open."""


@dataclass
class _Requests:
    """The requests of one open loop, and those of them that are under way."""

    group: asyncio.TaskGroup
    sender: Sender
    tally: Tally
    slots: asyncio.Semaphore
    idle: list[Connection] = field(default_factory=list)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def send_all(self, dues: Iterator[_Due], until: float) -> None:
        """Send each request when it is due; those that find no place until `until` are not sent."""
        for number, due in enumerate(dues, start=1):
            self.tally.punctuality.due += due.belongs
            delay = due.at - self.tally.clock()
            if delay > 0 or number % HURRY == 0:
                await asyncio.sleep(max(delay, 0.0))
            if not await self._has_place(due, until):
                self._give_up(dues)
                return
            task = self.group.create_task(self._send(due))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)

    async def _has_place(self, due: _Due, until: float) -> bool:
        if not self.slots.locked():
            return await self.slots.acquire()
        self.tally.punctuality.crowded += due.belongs
        try:
            async with asyncio.timeout(until - self.tally.clock()):
                return await self.slots.acquire()
        except TimeoutError:
            self.tally.punctuality.unsent += due.belongs
            return False

    def _give_up(self, dues: Iterator[_Due]) -> None:
        for due in dues:
            self.tally.punctuality.due += due.belongs
            self.tally.punctuality.unsent += due.belongs

    async def _send(self, due: _Due) -> None:
        counted_from = self._punctual(due)
        connection = self.idle.pop() if self.idle else self.sender.connect()
        request = self.sender.next()
        try:
            answer = await self.sender.send(connection, request)
        finally:
            self.slots.release()
        self.idle.append(connection)
        self.tally.note_end(answer)
        if due.belongs:
            self.tally.note(answer, self.tally.clock() - counted_from, len(request))

    def _punctual(self, due: _Due) -> float:
        """Return the moment from which a request's latency is counted, and note how late it is sent."""
        now = self.tally.clock()
        late = now - due.at
        if late <= TICK_S:
            return now
        if due.belongs:
            self.tally.punctuality.late_ms.append(1000 * late)
        return due.at


async def run_open(plan: Plan, load: Open, sender: Sender, tally: Tally) -> tuple[Reading, Reading]:
    """Follow a plan; return what was read of the processes at both ends of the window.

    Raises:
        Refused: an answer was not OK, and the plan is to stop then.
    """
    async with asyncio.TaskGroup() as group:
        requests = _Requests(group, sender, tally, asyncio.Semaphore(load.max_outstanding))
        start = tally.clock()
        end = start + plan.ramp_seconds + plan.seconds
        sending = group.create_task(requests.send_all(_dues(plan, load, start), end))
        before, after = await _watch(plan, tally)
        if tally.interrupted.is_set():
            for task in (sending, *requests.under_way):
                task.cancel()
    return before, after


def _dues(plan: Plan, load: Open, start: float) -> Iterator[_Due]:
    for offset in arrivals(load, plan.ramp_seconds + plan.seconds):
        yield _Due(start + offset, belongs=offset >= plan.ramp_seconds)


async def _watch(plan: Plan, tally: Tally) -> tuple[Reading, Reading]:
    await wait_any(plan.ramp_seconds, tally.interrupted)
    before = read(plan.pids, tally.clock())
    tally.is_open = True
    await wait_any(plan.seconds, tally.interrupted)
    tally.is_open = False
    return before, read(plan.pids, tally.clock())
