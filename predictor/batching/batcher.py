"""The batcher: one coroutine owns the lines and the lanes, and nobody else touches either.

**Prior art.** Triton and TorchServe collect rows for a fixed delay under a mutex that every request thread takes; mosec
and text-embeddings-inference have one owner that others send to; TensorFlow Serving's shared scheduler asks "is a
thread free?" first and lets batches form by themselves while none is.

**The choice.** One owner, as in the latter two. Doors put what has arrived, and lanes what has run, into its inbox and
ring its bell; it wakes once for everything that came in the same turn of the event loop, so that requests that arrive
together are seen together. While a lane is free it asks the policy whether the rows that wait should go now; while none
is, they wait anyhow, and the next batch forms of itself ("continuous" batching). That is why `max_delay_s` costs a busy
server nothing, and an idle one only where the policy finds that waiting pays.

**Who may end a request.** A request is settled through its future, once: by the owner, when its rows have run or it is
too late for them; by its own timer, when its deadline passes; by its caller, who cancels it and is gone. Whoever comes
later finds it settled and does nothing. Rows of a settled request leave the line, so that they never reach the device
and their memory is free at once; a run cannot be stopped, and what it gives for them is dropped.

**Rejected.** A lock with worker threads that fetch for themselves: rows would be joined on threads that wait for the
interpreter's lock, and cancellation would race with them. A task for each batch: nobody could say what runs next.
Giving a lane its next batch ahead of time: it would close batches early and make the urgent wait; two lanes on one
device hide the hand-over instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from predictor.batching.line import Line, Lines
from predictor.batching.policy import Policy
from predictor.batching.request import Answer, Batch, BatchRequest
from predictor.batching.run import Ran
from predictor.batching.sizes import RunSize
from serving.errors import DeadlineExceeded, InternalError, ModelNotReady
from serving.log import get_logger

logger = get_logger(__name__)

PATIENCE_S: Final = 30.0
"""Seconds that closing waits for runs that were begun."""

TICK_S: Final = 0.001
"""The event loop's own resolution: a timer is never set shorter."""


class Watcher(Protocol):
    """Is told of every run."""

    def begin(self, batch: Batch) -> None:
        """A batch was handed to a lane."""

    def end(self, batch: Batch, ran: Ran | None) -> None:
        """It came back; without an account of itself where a bug ended it."""


class Runner(Protocol):
    """A lane, as the batcher sees it."""

    def start(self, batch: Batch, done: Callable[[Ran | None, Exception | None], None]) -> None:
        """Run a batch, and call `done` on the event loop."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model's rows are batched."""

    run_size: RunSize
    policy: Policy


class Batcher:
    """Runs requests on lanes."""

    def __init__(
        self,
        plan: Plan,
        runners: Sequence[Runner],
        watcher: Watcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to serve, on the running event loop."""
        self._plan = plan
        self._watcher = watcher
        self._clock = clock
        self._lines = Lines()
        self._free = list(runners)
        self._lanes = len(runners)
        self._arrived: list[BatchRequest] = []
        self._gone: list[BatchRequest] = []
        self._ran: list[tuple[Runner, Batch, Ran | None, Exception | None]] = []
        self._open: set[BatchRequest] = set()
        self._bell: asyncio.Future[None] | None = None
        self._closed = False
        self._all_free = asyncio.Event()
        self._all_free.set()
        self._loop = asyncio.get_running_loop()
        self._owner = self._loop.create_task(self._own(), name="batcher")

    async def run(self, request: BatchRequest) -> Answer:
        """Have a request's rows run, and return what the model gives for them.

        Raises:
            DeadlineExceeded: its time was over before its rows ran, or while they did.
            ServingError: the run failed for its rows.
            ModelNotReady: the batcher was closed.
        """
        if self._closed:
            raise ModelNotReady("the model is being unloaded")
        request.arrived = self._clock()
        timer = None
        if request.deadline is not None:
            timer = self._loop.call_later(request.deadline - request.arrived, _expire, request)
        self._open.add(request)
        self._arrived.append(request)
        self._ring()
        try:
            return await request.answer
        finally:
            if timer is not None:
                timer.cancel()
            self._open.discard(request)
            request.ended = self._clock()
            if request.taken < request.rows:
                self._gone.append(request)
                self._ring()
            # An error holds this frame, and the frame the future that holds the error: a circle that would keep the
            # request's bytes until the collector comes by.
            del request

    async def close(self, patience_s: float = PATIENCE_S) -> None:
        """Refuse those who wait, let the lanes end what they run, and stop; a run that hangs is left behind."""
        self._closed = True
        for request in self._open:
            if request.began is None:
                request.refuse(ModelNotReady("the model is being unloaded"))
        try:
            async with asyncio.timeout(patience_s):
                await self._all_free.wait()
        except TimeoutError:
            logger.error("run hangs", lanes=self._lanes - len(self._free), seconds=patience_s)  # noqa: TRY400  # there is no more to tell
        self._owner.cancel()
        await asyncio.wait((self._owner,))

    async def _own(self) -> None:
        """Serve until cancelled. What nobody foresaw costs those who wait an error, and the batcher begins anew."""
        while True:
            try:
                self._read_inbox()
                await self._until_rung(self._feed())
            except Exception:
                logger.exception("batcher failed", requests=len(self._open))
                self._lines = Lines()
                self._arrived.clear()
                self._gone.clear()
                for request in self._open:
                    request.refuse(InternalError("the batcher failed: see the server's log"))

    def _ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    async def _until_rung(self, at: float | None) -> None:
        """Wait for something in the inbox, or until the time `at`."""
        if self._arrived or self._gone or self._ran:
            return
        self._bell = self._loop.create_future()
        timer = None
        if at is not None:
            timer = self._loop.call_later(max(TICK_S, at - self._clock()), self._ring)
        await self._bell
        if timer is not None:
            timer.cancel()

    def _read_inbox(self) -> None:
        now = self._clock()
        for request in self._arrived:
            if not request.answer.done():
                self._lines.add(request, now)
        self._arrived.clear()
        for request in self._gone:
            self._lines.leave(request)
        self._gone.clear()
        while self._ran:
            runner, batch, ran, error = self._ran.pop()
            self._free.append(runner)
            if len(self._free) == self._lanes:
                self._all_free.set()
            self._settle(batch, ran, error, now)

    def _feed(self) -> float | None:
        """Give the free lanes what should run now; return when to look again, if nothing else happens before."""
        now = self._clock()
        later: list[float] = []
        for line in self._lines.waiting():
            while line.rows and self._free:
                at = self._go_at(line, now)
                if at > now:
                    later.append(at)
                    break
                self._start(line, now)
        return min(later, default=None) if self._free else None

    def _go_at(self, line: Line, now: float) -> float:
        if line.in_a_hurry:
            return now
        return self._plan.policy.go_at(line.rows, line.oldest, line.arrivals, len(self._free), now)

    def _start(self, line: Line, now: float) -> None:
        size = self._plan.policy.size(line.rows, len(self._free), now)
        parts = line.take(size, now, partial(self._too_late, now))
        if not parts:
            return
        for part in parts:
            if part.request.began is None:
                part.request.began = now
        batch = Batch(parts, self._plan.run_size.padded(sum(part.rows for part in parts)))
        runner = self._free[-1]
        runner.start(batch, partial(self._has_run, runner, batch))
        self._free.pop()
        self._all_free.clear()
        self._watcher.begin(batch)

    def _too_late(self, now: float, request: BatchRequest) -> bool:
        """Refuse a request that could not be answered in time even by the fastest run that there was."""
        if request.deadline is None or request.began is not None:
            return False
        policy = self._plan.policy
        needed = policy.costs.at_best(policy.costs.sizes(now)[0])
        if now + needed <= request.deadline:
            return False
        left_ms = 1000 * max(0.0, request.deadline - now)
        request.refuse(
            DeadlineExceeded(f"{left_ms:.1f} ms are left, and a run takes {1000 * needed:.1f} ms: it was not begun")
        )
        return True

    def _has_run(self, runner: Runner, batch: Batch, ran: Ran | None, error: Exception | None) -> None:
        self._ran.append((runner, batch, ran, error))
        self._ring()

    def _settle(self, batch: Batch, ran: Ran | None, error: Exception | None, now: float) -> None:
        self._watcher.end(batch, ran)
        if ran is None:
            for part in batch.parts:
                part.request.refuse(error or RuntimeError("a lane gave nothing back"))
            return
        if not ran.fitted:
            self._plan.policy.costs.shun(batch.size, now)
        elif not ran.failed:
            self._plan.policy.costs.note(batch.size, ran.seconds)
        for outcome in ran.outcomes:
            request = outcome.part.request
            if outcome.answer is not None:
                request.receive(outcome.part, outcome.answer)
            elif outcome.error is not None:
                request.refuse(outcome.error)


def _expire(request: BatchRequest) -> None:
    begun = request.began is not None
    request.refuse(
        DeadlineExceeded(
            "the model did not finish in the time that the request has"
            if begun
            else "the model was busy for all of the time that the request has"
        )
    )
