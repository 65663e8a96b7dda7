"""One thread for all that a session does, where a device's driver keeps what it knows by thread."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

_Answer: TypeAlias = "SimpleQueue[tuple[Any, BaseException | None]]"
_Work: TypeAlias = "SimpleQueue[tuple[Callable[[], Any], _Answer] | None]"


class OwnThread:
    """Does work on a thread of its own while the caller waits; the thread ends when nobody holds this any more."""

    def __init__(self, name: str) -> None:
        self._work: _Work = SimpleQueue()
        # A daemon: a run that hangs in a device's driver must not keep the process from its end.
        threading.Thread(target=_labour, args=(self._work,), name=name, daemon=True).start()
        weakref.finalize(self, self._work.put, None)

    def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises."""
        answer: _Answer = SimpleQueue()
        self._work.put((work, answer))
        result: T
        result, error = answer.get()
        if error is None:
            return result
        try:
            raise error
        finally:
            del error, work  # the error holds this frame, and would be held by it


def _labour(queue: _Work) -> None:
    while (given := queue.get()) is not None:
        work, answer = given
        try:
            done: tuple[Any, BaseException | None] = (work(), None)
        except BaseException as error:  # noqa: BLE001  # the caller gets it
            done = (None, error)
        answer.put(done)
        del given, work, answer, done
