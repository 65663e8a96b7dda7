"""Those who wait, by what they can share a run with.

Whoever has stood longest goes first, within a line and between lines; an urgent request counts as if it had stood half
a second longer than it has, so that no stream of them keeps the others out for ever. A request of more rows than a
batch takes stands in line again for the rest: a large one lets a small one through after every batch of its own.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, TypeAlias

from predictor.batching.policy import Arrivals
from predictor.batching.request import BatchRequest, Key, Part

KEPT_LINES: Final = 16
"""Lines beyond which empty ones are forgotten."""

URGENT_LEAD_S: Final = 0.5
"""Seconds that an urgent request is ahead of others."""

Refusal: TypeAlias = Callable[[BatchRequest], bool]
"""Says of a request whether it is too late for it, and if so has answered it."""


class Line:
    """Requests of one key, in the order in which they will go."""

    def __init__(self) -> None:
        self._urgent: deque[BatchRequest] = deque()
        self._ordinary: deque[BatchRequest] = deque()
        self.rows = 0
        self.arrivals = Arrivals()

    def add(self, request: BatchRequest, now: float) -> None:
        """Let a request that has just arrived stand in line."""
        self.arrivals.note(now, request.rows)
        self.rows += request.rows
        self._stand(request, now)

    def leave(self, request: BatchRequest) -> None:
        """Let a request go that nobody waits for any more."""
        standing = self._urgent if request.urgent else self._ordinary
        if request in standing:
            standing.remove(request)
            self.rows -= request.rows - request.taken

    @property
    def head(self) -> BatchRequest:
        """The one that goes next; there is one."""
        return self._next()[0]

    @property
    def oldest(self) -> float:
        """When the one that has stood longest arrived, or stood in line again."""
        return min(standing[0].queued for standing in (self._urgent, self._ordinary) if standing)

    @property
    def in_a_hurry(self) -> bool:
        """Whether the next one should not be made to wait for company."""
        head = self.head
        return head.urgent or head.taken > 0

    def take(self, size: int, now: float, too_late: Refusal) -> list[Part]:
        """Take the next rows, at most `size` of them; requests for which it is too late are left out."""
        parts: list[Part] = []
        room = size
        while room and (self._urgent or self._ordinary):
            request = self._next().popleft()
            self.rows -= request.rows - request.taken
            if request.answer.done() or too_late(request):
                continue
            part = request.take(room)
            parts.append(part)
            room -= part.rows
            if request.left:  # and so there is no room any more
                self.rows += request.left
                self._stand(request, now)
        return parts

    def _next(self) -> deque[BatchRequest]:
        """Return the row of those, urgent or ordinary, whose first one has its turn."""
        if self._urgent and self._ordinary:
            return min(self._urgent, self._ordinary, key=lambda standing: _turn(standing[0]))
        return self._urgent or self._ordinary

    def _stand(self, request: BatchRequest, now: float) -> None:
        request.queued = now
        (self._urgent if request.urgent else self._ordinary).append(request)


class Lines:
    """The lines of all keys. Empty ones are kept for how their rows arrive, but only the latest few: a model whose
    input follows the picture has a key for every size that strangers send.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[Key, Line] = OrderedDict()

    def add(self, request: BatchRequest, now: float) -> None:
        """Let a request stand in the line of its kind."""
        line = self._lines.get(request.key)
        if line is None:
            line = self._lines[request.key] = Line()
        line.add(request, now)
        self._lines.move_to_end(request.key)
        self._forget_empty()

    def leave(self, request: BatchRequest) -> None:
        """Let a request go."""
        line = self._lines.get(request.key)
        if line is not None:
            line.leave(request)

    def waiting(self) -> list[Line]:
        """Return the lines in which somebody stands, the next to be served first."""
        lines = [line for line in self._lines.values() if line.rows]
        return lines if len(lines) < 2 else sorted(lines, key=_rank)  # noqa: PLR2004  # the usual case costs nothing

    def _forget_empty(self) -> None:
        excess = len(self._lines) - KEPT_LINES
        if excess > 0:
            for key in [key for key, line in self._lines.items() if not line.rows][:excess]:
                del self._lines[key]


def _turn(request: BatchRequest) -> float:
    """When a request's turn is: the smaller, the sooner."""
    return request.queued - URGENT_LEAD_S if request.urgent else request.queued


def _rank(line: Line) -> float:
    return _turn(line.head)
