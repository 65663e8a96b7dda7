"""Threads that compute, off the event loop: each request in its turn, honest about deadlines.

Pillow decodes a picture, and NumPy makes an answer of tensors, in C code that lets the interpreter go. Requests take
turns: of one with two hundred pictures a single one is begun before the next request has its own. Work cannot be
stopped once begun: a caller whose deadline passes meanwhile, or who goes away, is done with at once, and the thread is
free again when the work has ended. Work that was not begun by then is not begun any more.

Work that takes much memory takes it from what there is for all of it together, and is not begun before.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

from typing_extensions import override

from serving.admission import Admission
from serving.call import Call
from serving.errors import DeadlineExceeded
from serving.room import Room, Wait
from serving.threads import Threads

PATIENCE_S: Final = 15.0
"""Seconds that closing waits for work that was begun."""

T = TypeVar("T")

Hold: TypeAlias = Callable[[int], AbstractContextManager[None]]
"""Holds so many bytes for the length of a block, which begins when there is room for them."""


def freely(_: int) -> AbstractContextManager[None]:
    """Hold nothing: whoever works at one thing at a time needs no bound."""
    return nullcontext()


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    """One piece of work for `queue`, and the future that its caller waits on."""

    queue: str
    work: Callable[..., T]
    answer: asyncio.Future[T]
    given: float
    began: float | None = None

    def __call__(self) -> T:
        """Do the work, on a thread."""
        self.began = time.perf_counter()
        return self.work()

    def leave(self) -> None:
        """Have the thread wait no longer: nobody wants the answer."""

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


@dataclass(slots=True, eq=False, kw_only=True)
class _HoldingJob(_Job[T]):
    """Work that holds a part of `room`. While it waits for that, it has not begun."""

    room: Room
    wait: Wait | None = None

    @override
    def __call__(self) -> T:
        self.began = time.perf_counter()
        return self.work(self.hold)

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Hold `size` bytes of the room, on the thread."""
        self.wait = self.room.take(size)
        if self.wait is not None:
            self._stand_in_line(self.wait)
        try:
            yield
        finally:
            self.room.give_back(size)

    @override
    def leave(self) -> None:
        if self.wait is not None:
            self.room.leave(self.wait)

    def _stand_in_line(self, wait: Wait) -> None:
        # In this order, since the answer may be done at any moment: whoever is done after `began` is None leaves the
        # wait, and who was done before that is seen here.
        self.began = None
        if self.answer.done():
            self.room.leave(wait)
        if not wait.until_over():
            raise DeadlineExceeded(f"{self.queue} was let go of before there was memory for its work")
        self.began = time.perf_counter()


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
    """Runs work on `threads` threads for requests that `admission` has let in. What takes much memory holds no more
    than `memory` bytes together.
    """

    def __init__(self, name: str, threads: int, admission: Admission, memory: int = sys.maxsize) -> None:
        self._name = name
        self._room = Room(memory)
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

    @property
    def held(self) -> int:
        """The bytes that work holds now."""
        return self._room.taken

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
        return await self._do(call, _Job(self._name, work, _future(), time.perf_counter()))

    async def run_holding(self, call: Call, work: Callable[[Hold], T]) -> T:
        """Do `work`, which holds the memory that it needs through what it is given, when its turn comes and that is
        there.

        Raises:
            DeadlineExceeded: as `run`.
        """
        return await self._do(call, _HoldingJob(self._name, work, _future(), time.perf_counter(), room=self._room))

    async def close(self) -> None:
        """Wait for the work that is under way, and end the threads; work that hangs is left behind."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._idle.wait()
        await self._threads.close(PATIENCE_S)

    async def _do(self, call: Call, job: _Job[T]) -> T:
        remaining = call.remaining_s()
        timer = None if remaining is None else asyncio.get_running_loop().call_later(remaining, job.expire)
        self._turns.add(id(call), job)
        self._feed()
        try:
            return await job.answer
        finally:
            if timer is not None:
                timer.cancel()
            if job.began is None:
                self._turns.remove(id(call), job)
                job.leave()
            call.widen_stage("queue", (job.began or time.perf_counter()) - job.given)
            # An error holds this frame, and the frame the future that holds the error: a circle that would keep the
            # request's bytes until the collector comes by.
            del job

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


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()
