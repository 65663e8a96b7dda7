"""A bounded queue before threads that compute: off the event loop, in order of arrival, honest about deadlines.

Both servers compute in C code that lets the interpreter go: ONNX Runtime runs a model, Pillow decodes a picture. A
request waits for a free thread in the order of arrival. Work cannot be stopped once begun: a caller whose deadline
passes meanwhile is answered at once, and the thread is free again when the work has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


class WorkQueue:
    """Runs work on `threads` threads, with at most `max_rows` rows (pictures) waiting; `gauge` shows how many do."""

    def __init__(self, name: str, threads: int, max_rows: int, gauge: Gauge) -> None:
        self._name = name
        self._free = asyncio.Semaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._max_rows = max_rows
        self._waiting_rows = 0
        self._gauge = gauge

    async def run(self, rows: int, call: Call, work: Callable[[], T]) -> T:
        """Run `work`, which computes `rows` rows, when its turn comes.

        Raises:
            DeadlineExceeded: the call's time was over, before the work or during it.
        """
        await self._wait(rows, call)
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        running.add_done_callback(self._release)
        done, _ = await asyncio.wait((running,), timeout=call.remaining_s())
        if not done:
            raise DeadlineExceeded(f"{self._name} did not end in the time that was given")
        return running.result()

    def admit(self, rows: int) -> None:
        """Refuse a request of `rows` rows for which there is no room.

        Raises:
            RequestTooLarge: it is more than the queue ever holds.
            Overloaded: too many rows wait.
        """
        if rows > self._max_rows:
            raise RequestTooLarge(
                f"the request has {rows} rows; the queue holds {self._max_rows} (MAX_QUEUE_ROWS): send fewer at once",
                limit_rows=self._max_rows,
            )
        if self._waiting_rows + rows > self._max_rows:
            raise Overloaded(
                f"{self._waiting_rows} rows wait for {self._name}; the queue holds {self._max_rows} (MAX_QUEUE_ROWS)",
                retry_after_s=1,
            )

    async def _wait(self, rows: int, call: Call) -> None:
        started = time.perf_counter()
        self._change(rows)
        try:
            async with asyncio.timeout(call.remaining_s()):
                await self._free.acquire()
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self._name} was busy for all of the time that was given") from error
        finally:
            self._change(-rows)
            call.add_stage("queue", time.perf_counter() - started)

    def _change(self, rows: int) -> None:
        self._waiting_rows += rows
        self._gauge.set(self._waiting_rows)

    def _release(self, ended: asyncio.Future[T]) -> None:
        self._free.release()
        if not ended.cancelled():
            ended.exception()  # seen, should the caller be gone: asyncio would complain of it later

    async def close(self) -> None:
        """Wait for the work that was begun."""
        await asyncio.to_thread(self._threads.shutdown)
