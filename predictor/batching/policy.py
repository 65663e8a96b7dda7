"""When rows go, and how many: the decision, without queues, threads or clocks of its own.

Rows that find a free lane could go at once. To wait for company pays only if the next row comes soon and a joint run
costs little more than a lone one. With `k` rows here, the next expected in `gap` seconds, and a run of `k` rows that
takes `c(k)`, the seconds that all `k + 1` spend here are together

    go now    k · c(k)  +  (start - gap)  +  c(1)     where the newcomer starts at max(gap, c(k)); at gap if another
                                                      lane is free
    wait      k · (gap + c(k + 1))  +  c(k + 1)

and the smaller sum wins. `gap` is the longer of the smoothed distance between arrivals and of the silence so far, so
that waiting ends when the stream does. In no case does a row wait longer than `max_delay_s` while a lane is free.
Triton's and TorchServe's fixed delay is the other mode: it fills batches better when arrivals are dense, and costs
everybody the delay when they are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from predictor.batching.costs import Costs
from predictor.batching.sizes import holding

SMOOTHING: Final = 0.2
"""The share of the last arrival in the smoothed distance."""


class Arrivals:
    """How far rows are apart."""

    def __init__(self) -> None:
        self._gap: float | None = None
        self._last: float | None = None

    def note(self, now: float, rows: int) -> None:
        """Rows arrived."""
        if self._last is not None:
            gap = (now - self._last) / rows
            self._gap = gap if self._gap is None else self._gap + SMOOTHING * (gap - self._gap)
        self._last = now

    def gap(self, now: float) -> float | None:
        """Return the seconds until the next row is expected; None before a second request has come."""
        return None if self._gap is None or self._last is None else max(self._gap, now - self._last)


@dataclass(frozen=True, slots=True)
class Policy:
    """The decision for the rows of one shape.

    `parallel` lanes have cores of their own, as those of a CPU with one thread each; others share one device.
    """

    costs: Costs
    max_delay_s: float = 0.0
    adaptive: bool = True
    parallel: bool = False

    def size(self, rows: int, free_lanes: int, now: float) -> int:
        """Return the size of the next run for `rows` waiting rows: the one that does the most of them in a second."""
        sizes = self.costs.sizes(now)
        share = ceil(rows / free_lanes) if self.parallel else rows
        fitting = [size for size in sizes if size <= share]
        larger = [size for size in sizes if size > share][:1]
        return max(fitting + larger, key=lambda size: (min(share, size) / self.costs.of(size), -size))

    def go_at(self, rows: int, oldest: float, arrivals: Arrivals, free_lanes: int, now: float) -> float:
        """Return the time at which `rows` should go that have waited since `oldest`; not after `now` means at once."""
        latest = oldest + self.max_delay_s
        if now >= latest or rows >= self.costs.sizes(now)[-1]:
            return now
        if not self.adaptive:
            return latest
        gap = arrivals.gap(now)
        if gap is None or now + gap > latest or not self._waiting_pays(rows, gap, free_lanes, now):
            return now
        return now + gap

    def _waiting_pays(self, rows: int, gap: float, free_lanes: int, now: float) -> bool:
        alone, one = self._cost(rows, now), self._cost(1, now)
        joint = self._cost(rows + 1, now)
        start = gap if free_lanes > 1 else max(gap, alone)
        return rows * (gap + joint) + joint < rows * alone + (start - gap) + one

    def _cost(self, rows: int, now: float) -> float:
        return self.costs.of(holding(self.costs.sizes(now), rows))
