"""Threads that do work for an event loop: what is given in comes back as a call on the loop.

The standard library's executor wraps each piece of work into two futures that wake each other through a lock and a
condition; here a queue written in C hands it over, and one callback brings it back. Under load that is a tenth of a
millisecond a request.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from serving.errors import ServingError, without_frames

T = TypeVar("T")

Done: TypeAlias = Callable[[T | None, Exception | None], None]
"""Is called with a result, or with the error that came instead of it."""

Given: TypeAlias = tuple[Callable[[], Any], Callable[[Any, BaseException | None], object]]
"""Work, and what is called on its thread with its result, or with what it raised instead."""


class Threads:
    """`count` threads that take work in the order in which it is given."""

    def __init__(self, name: str, count: int) -> None:
        self._work: SimpleQueue[Given | None] = SimpleQueue()
        # Daemons: a run that hangs in a device's driver must not keep the process from its end.
        self._threads = [
            threading.Thread(target=labour, args=(self._work,), name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def start(self, work: Callable[[], T], done: Done[T]) -> None:
        """Have `work` done on the next free thread, and `done` called on the running event loop."""
        self._work.put((work, partial(_hand_back, asyncio.get_running_loop(), done)))

    async def close(self, patience_s: float = 30.0) -> None:
        """Wait until all that was given in is done, and end the threads; one that hangs is left behind."""
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + patience_s
        for thread in self._threads:
            await asyncio.to_thread(thread.join, max(0.0, deadline - time.monotonic()))


def labour(queue: SimpleQueue[Given | None]) -> None:
    """Do the work that comes out of a queue until nothing does: a thread's whole life."""
    while (given := queue.get()) is not None:
        work, deliver = given
        result: Any = None
        fault: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # whoever gave the work in gets it, and the thread goes on
            fault = error
        deliver(result, fault)
        del given, work, deliver, result, fault


def _hand_back(loop: asyncio.AbstractEventLoop, done: Done[Any], result: object, error: BaseException | None) -> None:
    """Call `done` on the event loop, with an error that does not keep the work's input alive through its frames."""
    fault: Exception | None = None
    if isinstance(error, ServingError):
        fault = without_frames(error)
    elif isinstance(error, Exception):
        fault = error  # its frames are what its log line is written for
    elif error is not None:
        fault = RuntimeError(f"the work would have ended its thread: {error!r}")
    with suppress(RuntimeError):  # the loop was closed: nobody waits any more
        loop.call_soon_threadsafe(done, result, fault)
