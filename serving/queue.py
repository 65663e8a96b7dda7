"""A bounded queue before threads that compute: off the event loop, in order of arrival, honest about deadlines.

Both servers compute in C code that lets the interpreter go: ONNX Runtime runs a model, Pillow decodes a picture. A
request waits for a free thread in the order of arrival. Work cannot be stopped once begun: a caller whose deadline
passes meanwhile is answered at once, and the thread is free again when the work has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from prometheus_client import Gauge

from serving.call import Call
from serving.errors import DeadlineExceeded, Overloaded, RequestTooLarge

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Do `work`, and say how many seconds it took on its thread."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def check_rows(rows: int, max_rows: int) -> None:
    """Raise `RequestTooLarge` for a request of more rows than the queue ever holds."""
    if rows > max_rows:
        raise RequestTooLarge(
            f"the request has {rows} rows; the queue holds {max_rows} (MAX_QUEUE_ROWS): send fewer at once",
            limit_rows=max_rows,
        )


class WorkQueue:
    """Runs work on `threads` threads for at most `max_rows` admitted rows (pictures), which `gauge` counts: its own and
    those of other queues that share it, as those of a version and of its successor do.
    """

    def __init__(self, name: str, threads: int, max_rows: int, gauge: Gauge) -> None:
        self._name = name
        self._free = asyncio.Semaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._max_rows = max_rows
        self._rows = 0
        self._gauge = gauge

    @contextmanager
    def admit(self, rows: int) -> Iterator[None]:
        """Admit a request of `rows` rows for the length of the block, or refuse it before any of its work begins.

        Raises:
            RequestTooLarge: it is more than the queue ever holds.
            Overloaded: there is no room for it now.
        """
        check_rows(rows, self._max_rows)
        if self._rows + rows > self._max_rows:
            raise Overloaded(
                f"{self._rows} rows wait for {self._name}, or are worked on; {self._max_rows} may (MAX_QUEUE_ROWS)",
                retry_after_s=1,
            )
        self._change(rows)
        try:
            yield
        finally:
            self._change(-rows)

    async def run(self, call: Call, work: Callable[[], T]) -> T:
        """Do `work` when its turn comes, for a request that was admitted.

        Raises:
            DeadlineExceeded: the call's time was over, before the work or during it.
        """
        await self._wait(call)
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        running.add_done_callback(self._release)
        try:
            done, _ = await asyncio.wait((running,), timeout=call.remaining_s())
            if not done:
                raise DeadlineExceeded(f"{self._name} did not finish in the time that the request has")
            return running.result()
        finally:
            # An error holds this frame, and the frame the future that holds the error: a circle that would keep the
            # request's bytes until the collector comes by.
            running = done = None  # type: ignore[assignment]

    async def close(self) -> None:
        """Wait for the work that was begun."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _wait(self, call: Call) -> None:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(call.remaining_s()):
                await self._free.acquire()
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self._name} was busy for all of the time that the request has") from error
        finally:
            call.widen_stage("queue", time.perf_counter() - started)

    def _release(self, ended: asyncio.Future[T]) -> None:
        self._free.release()
        if not ended.cancelled():
            ended.exception()  # seen, should the caller be gone: asyncio would complain of it later

    def _change(self, rows: int) -> None:
        self._rows += rows
        self._gauge.inc(rows)
