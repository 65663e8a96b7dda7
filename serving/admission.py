"""Who is let in: a server takes no more than it can answer in good time, and says so at once.

A queue that is bounded by its length alone is too long for a slow model and too short for a fast one. So the bound is a
time: whoever would wait longer than that is refused before any of its work begins, and can ask another replica. How
long a row takes is learned from those that were answered, by Little's law: a request that found itself among `n` rows
and left after `t` seconds was in a system that does a row in `t / n`. That holds for every model, device and number of
threads without knowing any of them, as long as all of them were busy: so only crowds teach, and until there was one
nobody is refused for the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from serving.errors import Overloaded, RequestTooLarge
from serving.metrics import QueueMeter

CROWD_ROWS: Final = 32
"""Rows that may wait however long they take, since the callers of a slow model set their own deadlines; and that must
be there for the time of a row to be told from their answers."""

SMOOTHING: Final = 0.1
"""The share of the last request in the time of a row."""


def check_rows(rows: int, max_rows: int) -> None:
    """Raise `RequestTooLarge` for a request of more rows than are ever let in."""
    if rows > max_rows:
        raise RequestTooLarge(
            f"the request has {rows} rows; the queue holds {max_rows} (MAX_QUEUE_ROWS): send fewer at once",
            limit_rows=max_rows,
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is let in."""

    max_rows: int
    max_bytes: int
    max_wait_s: float


@dataclass(slots=True)
class Crowd:
    """The rows of one model that are in, and the seconds that one of them takes."""

    model: str
    rows: int = 0
    row_s: float = 0.0

    @property
    def wait_s(self) -> float:
        """Seconds of work that are in."""
        return self.rows * self.row_s

    def learn(self, rows: int, seconds: float) -> None:
        """Learn from a request that was in for so long, and found so many rows with its own."""
        if rows >= CROWD_ROWS:
            row_s = seconds / rows
            self.row_s = self.row_s + SMOOTHING * (row_s - self.row_s) if self.row_s else row_s


class Admission:
    """Lets requests in to `name`, as long as they are within `bounds`.

    The meter counts what is in; requests of other admissions that share its labels, as those of a version and of its
    successor do, are counted with theirs.
    """

    def __init__(
        self,
        name: str,
        bounds: Bounds,
        meter: QueueMeter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._bounds = bounds
        self._meter = meter
        self.clock = clock
        self._rows = 0
        self._bytes = 0
        self._crowds: dict[str, Crowd] = {}

    @property
    def rows(self) -> int:
        """The rows that are in."""
        return self._rows

    def admit(self, rows: int, size: int = 0, *, model: str = "", whole: bool = True) -> AbstractContextManager[None]:
        """Let a request of `rows` rows and `size` bytes in for the length of the block. The rows of a `model` wait for
        each other: a slow one's make nobody else late. Where the block is not the `whole` of what a row costs, its time
        teaches nothing.

        The block's begin raises:
            RequestTooLarge: it is more than is ever let in.
            Overloaded: there is no room for it now, or it would wait too long.
        """
        return _Stay(self, self.crowd_of(model), rows, size, whole=whole)

    def crowd_of(self, model: str) -> Crowd:
        """Return the rows of a model."""
        crowd = self._crowds.get(model)
        if crowd is None:
            crowd = self._crowds[model] = Crowd(model)
        return crowd

    def change(self, crowd: Crowd, rows: int, size: int) -> None:
        """Count rows and bytes that come in, or go. `admit` does that, and looks at the bounds first."""
        crowd.rows += rows
        self._rows += rows
        self._meter.rows.value += rows
        self._bytes += size
        self._meter.size.value += size

    def check(self, rows: int, size: int = 0, *, model: str = "") -> None:
        """Raise what `admit` would raise now."""
        bounds, crowd = self._bounds, self.crowd_of(model)
        check_rows(rows, bounds.max_rows)
        if size > bounds.max_bytes:
            raise RequestTooLarge(
                f"the request's tensors have {size} bytes; the queue holds {bounds.max_bytes} (MAX_QUEUE_MB): send "
                "fewer rows at once",
                limit_bytes=bounds.max_bytes,
            )
        if self._rows + rows > bounds.max_rows:
            self._refuse(
                crowd, "rows", f"{self._rows} rows wait for {self._name}, or are worked on; {bounds.max_rows} may"
            )
        if self._bytes + size > bounds.max_bytes:
            self._refuse(crowd, "mb", f"{self._bytes} bytes wait for {self._name}; {bounds.max_bytes} may")
        if crowd.wait_s > bounds.max_wait_s and crowd.rows >= CROWD_ROWS:
            whose = f" of model {crowd.model!r}" if crowd.model else ""
            self._refuse(
                crowd, "seconds", f"{crowd.rows} rows{whose} are before it, about {crowd.wait_s:.2f} s of work"
            )

    def _refuse(self, crowd: Crowd, bound: str, reason: str) -> None:
        self._meter.rejected[bound].inc()
        raise Overloaded(
            f"{reason} (MAX_QUEUE_{bound.upper()})", retry_after_s=max(1.0, math.ceil(crowd.wait_s)), bound=bound
        )


class _Stay(AbstractContextManager[None]):
    """The block for which a request is in. A generator, as those of `contextlib`, would cost a busy event loop more."""

    __slots__ = ("_admission", "_began", "_crowd", "_found", "_rows", "_size", "_whole")

    def __init__(self, admission: Admission, crowd: Crowd, rows: int, size: int, *, whole: bool) -> None:
        self._admission = admission
        self._crowd = crowd
        self._rows = rows
        self._size = size
        self._whole = whole

    @override
    def __enter__(self) -> None:
        self._admission.check(self._rows, self._size, model=self._crowd.model)
        self._admission.change(self._crowd, self._rows, self._size)
        self._found = self._crowd.rows
        self._began = self._admission.clock()

    @override
    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._admission.change(self._crowd, -self._rows, -self._size)
        if self._whole and kind is None:
            self._crowd.learn(self._found, self._admission.clock() - self._began)
