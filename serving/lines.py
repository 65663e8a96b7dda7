"""Lines on their way to a stream: a thread writes them, so that a busy server does not pay for each of them.

A line that is written to a pipe wakes its reader, which takes the CPU from the writer: a fifth of a millisecond for
each request, on the event loop of a busy server; and a reader that does not read would hold the loop up. So one thread
alone writes. The lines of requests are gathered for a moment, and written together; any other line wakes the thread at
once, and goes out behind those that were gathered earlier. A timer of the event loop would not do: lines come from
other threads too.

Nothing is lost where the process ends by itself, be it by an exception that nobody caught: its end waits for the thread
for a while. SIGKILL takes the last lines along. While nobody reads, lines wait; those beyond `MAX_WAITING_BYTES` are
dropped, and their number is told.
"""

from __future__ import annotations

import asyncio
import atexit
import select
import threading
from collections.abc import Callable
from io import RawIOBase
from typing import BinaryIO, Final

GATHER_S: Final = 0.05
"""Seconds that a gathered line may wait for others."""

FULL_BYTES: Final = 32 * 1024
"""How many bytes of lines are worth a write at once: half of what a pipe holds."""

MAX_WAITING_BYTES: Final = 2**20
"""How many bytes of lines wait for a reader that does not read: some 3,000 requests."""

PATIENCE_S: Final = 1.0
"""Seconds that a process which begins or ends waits for such a reader."""


class LineWriter:
    """Writes lines to a stream in their order, from any thread.

    A stream without a buffer is best: the interpreter's end would wait without bound for a buffer that is being
    written. `on_lost` makes the line that tells how many lines were dropped.
    """

    def __init__(self, stream: BinaryIO | RawIOBase, on_lost: Callable[[int], bytes]) -> None:
        self._stream = stream
        self._on_lost = on_lost
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._lost = 0
        self._given = 0
        self._done = 0
        self._changing = threading.Lock()
        self._progress = threading.Condition(self._changing)
        self._begun = threading.Event()
        self._urgent = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self.flush)

    def gather(self, line: bytes) -> None:
        """Write a line soon."""
        self._add(line)
        if not self._begun.is_set():
            self._begun.set()
        if self._waiting_bytes >= FULL_BYTES:
            self._urgent.set()

    def write(self, line: bytes) -> None:
        """Write a line, and those before it, as soon as the thread gets to it. The main thread waits for that before
        and after its event loop runs; nobody else does.
        """
        self._add(line)
        self._wake()
        if _is_alone():
            self.flush()

    def flush(self) -> None:
        """Wait until what was given so far is written; where the stream takes nothing, for `PATIENCE_S`."""
        self._wake()
        with self._progress:
            given = self._given
            self._progress.wait_for(lambda: self._done >= given, PATIENCE_S)

    def _wake(self) -> None:
        self._urgent.set()
        self._begun.set()

    def _add(self, line: bytes) -> None:
        with self._changing:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            self._given += 1
            if self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
                self._lost += 1
                return
            self._lines.append(line)
            self._waiting_bytes += len(line)

    def _run(self) -> None:
        while True:
            self._begun.wait()
            self._urgent.wait(GATHER_S)
            self._begun.clear()
            self._urgent.clear()
            self._write_all()

    def _write_all(self) -> None:
        lines, given = self._take()
        try:
            self._put(memoryview(lines))
            self._stream.flush()
        except (OSError, ValueError):  # the reader is gone, or the stream is closed: there is nobody to tell
            pass
        with self._progress:
            self._done = given
            self._progress.notify_all()

    def _put(self, data: memoryview) -> None:
        """Write all, of which a stream without a buffer takes a part at a time, and nothing while a pipe is full that
        was set not to block.
        """
        while data:
            taken = self._stream.write(data)
            if taken is None:
                select.select([], [self._stream], [])
            else:
                data = data[taken:]

    def _take(self) -> tuple[bytes, int]:
        """Return the lines that wait, and how many were given so far."""
        with self._changing:
            lines, self._lines = self._lines, []
            lost, self._lost = self._lost, 0
            self._waiting_bytes = 0
            given = self._given
        return b"".join([*lines, self._on_lost(lost)] if lost else lines), given


def _is_alone() -> bool:
    """Whether this is the begin or the end of a process, which holds nobody up, and may end next: with a traceback
    that would run into the line, or before the thread gets to it.
    """
    return threading.current_thread() is threading.main_thread() and asyncio._get_running_loop() is None  # noqa: SLF001  # the public one raises
