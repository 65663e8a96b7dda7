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
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from serving.errors import ServingError

T = TypeVar("T")

Done: TypeAlias = Callable[[T | None, Exception | None], None]
"""Is called with a result, or with the error that came instead of it."""

_Work: TypeAlias = "tuple[asyncio.AbstractEventLoop, Callable[[], Any], Done[Any]]"


class Threads:
    """`count` threads that take work in the order in which it is given."""

    def __init__(self, name: str, count: int) -> None:
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        # Daemons: a run that hangs in a device's driver must not keep the process from its end.
        self._threads = [
            threading.Thread(target=_labour, args=(self._work,), name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def start(self, work: Callable[[], T], done: Done[T]) -> None:
        """Have `work` done on the next free thread, and `done` called on the running event loop."""
        self._work.put((asyncio.get_running_loop(), work, done))

    async def close(self, patience_s: float = 30.0) -> None:
        """Wait until all that was given in is done, and end the threads; one that hangs is left behind."""
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + patience_s
        for thread in self._threads:
            await asyncio.to_thread(thread.join, max(0.0, deadline - time.monotonic()))


def _labour(queue: SimpleQueue[_Work | None]) -> None:
    while (given := queue.get()) is not None:
        loop, work, done = given
        result: Any = None
        fault: Exception | None = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  # whoever gave the work in gets it
            # Without the frames, which hold the work: the error would keep its input alive through them.
            fault = _bare(error)
        except BaseException as error:  # noqa: BLE001  # a thread that ended silently would be waited for, for ever
            fault = RuntimeError(f"the work ended its thread: {error!r}")
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(done, result, fault)
        del given, loop, work, done, result, fault


def _bare(error: Exception) -> Exception:
    """Return an error of ours without its frames; those of an unforeseen one are what its log line is written for."""
    if isinstance(error, ServingError):
        error.__traceback__ = None
        if error.__cause__ is not None:
            error.__cause__.__traceback__ = None
    return error
