"""Room in memory for work on threads: so much for all of it together, and each in its turn.

How much a piece of work needs is known on its thread, once it has looked at what it was given. There it asks for room,
and waits where there is none: behind all that wait already, however little it needs itself, since one that needs much
would never find room among many that need little. One that needs more than there ever is has all of it to itself: the
picture that a model is warmed up with, which is as large as the model's input and may not be refused. Pictures of
requests are, before they ask.
"""

from __future__ import annotations

from collections import deque
from threading import Event, Lock


class Wait:
    """A place in the line for `size` bytes."""

    __slots__ = ("_over", "is_in", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.is_in = False
        """Whether it got its room, once the wait is over."""
        self._over = Event()

    def end(self, *, is_in: bool) -> None:
        """Wake the thread that waits, which has its room or is to go without."""
        self.is_in = is_in
        self._over.set()

    def until_over(self) -> bool:
        """Block this thread until there is room, or nobody wants it any more; return whether there is."""
        self._over.wait()
        return self.is_in


class Room:
    """`size` bytes, which any thread may ask for and give back."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._taken = 0
        self._line: deque[Wait] = deque()
        self._lock = Lock()

    @property
    def taken(self) -> int:
        """The bytes that are taken now."""
        return self._taken

    def take(self, size: int) -> Wait | None:
        """Take `size` bytes, if they are there and nobody waits; or return the place in the line for them."""
        with self._lock:
            if not self._line and self._has(size):
                self._taken += size
                return None
            wait = Wait(size)
            self._line.append(wait)
            return wait

    def give_back(self, size: int) -> None:
        """Give `size` bytes back, to those that wait."""
        with self._lock:
            self._taken -= size
            self._let_in()

    def leave(self, wait: Wait) -> None:
        """Take a place out of the line, and end its wait, unless it has got its room already."""
        with self._lock:
            if wait in self._line:
                self._line.remove(wait)
                wait.end(is_in=False)
                self._let_in()

    def _has(self, size: int) -> bool:
        return self._taken == 0 or self._taken + size <= self.size

    def _let_in(self) -> None:
        while self._line and self._has(self._line[0].size):
            wait = self._line.popleft()
            self._taken += wait.size
            wait.end(is_in=True)
