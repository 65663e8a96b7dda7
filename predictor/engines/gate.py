"""A gate between those who record a CUDA graph and everybody else who uses CUDA in this process.

While one thread records, CUDA refuses many calls of all others (an allocation, a copy), and their call spoils the
recording. So a recording waits until nobody runs, and nobody runs until it is done. It takes milliseconds, once for
each size, nearly always before a model is ready; but another model may be serving meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Many may run at once; one records, alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._recording = False

    @contextmanager
    def run(self) -> Iterator[None]:
        """Use CUDA for the length of the block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._recording)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def record(self) -> Iterator[None]:
        """Record for the length of the block, in which the thread must not `run`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._recording)
            self._recording = True
            self._changed.wait_for(lambda: not self._running)
        try:
            yield
        finally:
            with self._changed:
                self._recording = False
                self._changed.notify_all()
