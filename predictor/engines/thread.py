"""One thread for all that a session does, where a device's driver keeps what it knows by thread."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from serving.threads import Given, labour

T = TypeVar("T")


class OwnThread:
    """Does work on a thread of its own while the caller waits; the thread ends when nobody holds this any more."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Given | None] = SimpleQueue()
        # A daemon: a run that hangs in a device's driver must not keep the process from its end.
        threading.Thread(target=labour, args=(self._work,), name=name, daemon=True).start()
        weakref.finalize(self, self._work.put, None)

    def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises."""
        answer: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._work.put((work, lambda *given: answer.put(given)))
        result: T
        result, error = answer.get()
        if error is None:
            return result
        try:
            raise error
        finally:
            del error, work  # the error holds this frame, and would be held by it
