"""Threads that compute, off the event loop: each request in its turn, honest about deadlines.

Pillow decodes a picture, and NumPy makes an answer of tensors, in C code that lets the interpreter go. Requests take
turns: of one with two hundred pictures a single one is begun before the next request has its own. Work cannot be
stopped once begun: a caller whose deadline passes meanwhile, or who goes away, is done with at once, and the thread is
free again when the work has ended. Work that was not begun by then is not begun any more.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from serving.admission import Admission
from serving.call import Call
from serving.errors import DeadlineExceeded
from serving.threads import Threads

PATIENCE_S: Final = 15.0
"""Seconds that closing waits for work that was begun."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    """One piece of work for `queue`, and the future that its caller waits on."""

    queue: str
    work: Callable[[], T]
    answer: asyncio.Future[T]
    given: float
    began: float | None = None

    def __call__(self) -> T:
        """Do the work, on a thread."""
        self.began = time.perf_counter()
        return self.work()

    def expire(self) -> None:
        """Answer that its time is over."""
        if self.answer.done():
            return
        was = "was busy for all of" if self.began is None else "did not finish in"
        self.answer.set_exception(DeadlineExceeded(f"{self.queue} {was} the time that the request has"))

    def settle(self, result: T | None, error: Exception | None) -> None:
        """Answer with what came of the work, unless nobody waits any more."""
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)  # type: ignore[arg-type]  # without an error there is a result


class _Turns:
    """What waits: the requests in the order of their turns, each with its jobs."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[int, deque[_Job[Any]]] = OrderedDict()

    @property
    def count(self) -> int:
        """How many jobs wait."""
        return sum(map(len, self._jobs.values()))

    def add(self, request: int, job: _Job[Any]) -> None:
        self._jobs.setdefault(request, deque()).append(job)

    def remove(self, request: int, job: _Job[Any]) -> None:
        jobs = self._jobs.get(request)
        if jobs is not None and job in jobs:
            jobs.remove(job)
            if not jobs:
                del self._jobs[request]

    def next(self) -> _Job[Any] | None:
        """Return the job whose turn it is."""
        if not self._jobs:
            return None
        request, jobs = self._jobs.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._jobs[request] = jobs  # behind all others
        return job


class WorkQueue:
    """Runs work on `threads` threads for requests that `admission` has let in."""

    def __init__(self, name: str, threads: int, admission: Admission) -> None:
        self._name = name
        self._admission = admission
        self._threads = Threads(name, threads)
        self._count = self._free = threads
        self._idle = asyncio.Event()
        self._idle.set()
        self._turns = _Turns()

    @property
    def depth(self) -> int:
        """How much work is being done, or waits for a thread."""
        return self._turns.count + self._count - self._free

    def admit(self, rows: int, size: int = 0, *, model: str = "", whole: bool = True) -> AbstractContextManager[None]:
        """Let a request in for the length of the block, or refuse it before any of its work begins; `model` and `whole`
        are as `Admission.admit` means them.

        Raises:
            RequestTooLarge, Overloaded: as `Admission.admit`.
        """
        return self._admission.admit(rows, size, model=model, whole=whole)

    async def run(self, call: Call, work: Callable[[], T]) -> T:
        """Do `work` when its turn comes, for a request that was let in.

        Raises:
            DeadlineExceeded: the call's time was over, before the work or during it.
        """
        loop = asyncio.get_running_loop()
        remaining = call.remaining_s()
        job: _Job[T] = _Job(self._name, work, loop.create_future(), time.perf_counter())
        timer = None if remaining is None else loop.call_later(remaining, job.expire)
        self._turns.add(id(call), job)
        self._feed()
        try:
            return await job.answer
        finally:
            if timer is not None:
                timer.cancel()
            if job.began is None:
                self._turns.remove(id(call), job)
            call.widen_stage("queue", (job.began or time.perf_counter()) - job.given)
            # An error holds this frame, and the frame the future that holds the error: a circle that would keep the
            # request's bytes until the collector comes by.
            del job

    async def close(self) -> None:
        """Wait for the work that is under way, and end the threads; work that hangs is left behind."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._idle.wait()
        await self._threads.close(PATIENCE_S)

    def _feed(self) -> None:
        while self._free and (job := self._turns.next()) is not None:
            self._free -= 1
            self._idle.clear()
            self._threads.start(job, partial(self._end, job))

    def _end(self, job: _Job[T], result: T | None, error: Exception | None) -> None:
        self._free += 1
        job.settle(result, error)
        self._feed()
        if self._free == self._count:
            self._idle.set()
