"""The saturation search: the most requests a second that a server answers with a 99th percentile under a bound.

::

    closed loop: how many a second at all ──▶ an open loop at a part of that ──▶ up or down, and then by halves
                 (and: does one client alone keep the bound?)

A rate *holds* where its window keeps the bound, every answer is OK, and as many came as were asked for. Machines are
noisy, and one hiccup is a window's 99th percentile: a rate is therefore judged by the majority of up to three windows.
The search ends when the rate that holds and the one that does not are `PRECISION` apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from load.sample import Sample

PRECISION: Final = 0.05
"""How close the answer is: differences below it are a noisy machine's own."""
ACHIEVED: Final = 0.95
"""The share of the requests due that must be answered within the window."""
FIRST: Final = 0.8
"""The share of the closed loop's throughput that is tried first."""
STEP_UP: Final = 1.15
"""By how much the rate is raised while it holds."""
SLOWEST: Final = 1 / 64
"""The share of the closed loop's throughput below which nothing is tried."""
LATE_SHARE: Final = 0.1
"""The share of requests sent late above which a window says more of the generator than of the server."""
WINDOWS: Final = 3
MAX_RATES: Final = 16
"""The most rates that are tried: a bound on the search, which ends long before."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one window held, and why not."""

    rate: float
    """Requests a second that were asked for."""
    sample: Sample
    why_not: str = ""

    @property
    def holds(self) -> bool:
        """Whether it did."""
        return not self.why_not


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    bound_ms: float
    verdicts: tuple[Verdict, ...]
    """Every window, in order."""
    best: Verdict | None
    """A window of the highest rate that holds: the one with the median 99th percentile. None where no rate does."""
    fails: float | None
    """The lowest rate that does not; None where the search was ended before one was found."""

    @property
    def windows_of_best(self) -> tuple[Verdict, ...]:
        """All windows of the rate that was found."""
        return tuple(each for each in self.verdicts if self.best is not None and each.rate == self.best.rate)


def judge(rate: float, sample: Sample, bound_ms: float) -> Verdict:
    """Judge one window of an open loop at `rate` requests a second."""
    return Verdict(rate, sample, _why_not(sample, bound_ms))


@dataclass
class Search:
    """A search under way. `window` measures a rate once; `tell` is shown each verdict as it comes."""

    bound_ms: float
    window: Callable[[float], Sample]
    tell: Callable[[Verdict], None]
    _verdicts: list[Verdict] = field(default_factory=list)

    def run(self, capacity: float) -> Found:
        """Search, from the throughput of a closed loop (requests a second)."""
        holds, fails = 0.0, None
        for _ in range(MAX_RATES):
            rate = _next_rate(capacity, holds, fails)
            if rate is None:
                break
            held = self._holds(rate)
            if held is None:
                break
            holds, fails = (rate, fails) if held else (holds, rate)
        return Found(self.bound_ms, tuple(self._verdicts), self._best(holds), fails)

    def _holds(self, rate: float) -> bool | None:
        """Judge a rate by the majority of its windows; None where the search is ended meanwhile."""
        yes = no = 0
        while max(yes, no) <= WINDOWS // 2:
            sample = self.window(rate)
            if sample.interrupted:
                return None
            verdict = judge(rate, sample, self.bound_ms)
            self._verdicts.append(verdict)
            self.tell(verdict)
            yes, no = yes + verdict.holds, no + (not verdict.holds)
        return yes > no

    def _best(self, rate: float) -> Verdict | None:
        windows = [each for each in self._verdicts if each.rate == rate and each.holds]
        windows.sort(key=lambda each: each.sample.answered.p99_ms)
        return windows[len(windows) // 2] if windows else None


def _next_rate(capacity: float, holds: float, fails: float | None) -> float | None:
    """Return the rate to try next; None where it is known well enough."""
    if fails is None:
        return _rounded(holds * STEP_UP if holds else FIRST * capacity)
    if not holds:
        lower = _rounded(fails / 2)
        return lower if lower >= SLOWEST * capacity else None
    middle = _rounded((holds + fails) / 2)
    return middle if fails - holds > PRECISION * holds and holds < middle < fails else None


def _rounded(rate: float) -> float:
    """Return a rate that people can read and ask for again: three digits."""
    return float(f"{rate:.3g}")


def _why_not(sample: Sample, bound_ms: float) -> str:
    return next(_faults(sample, bound_ms), "")


def _faults(sample: Sample, bound_ms: float) -> Iterator[str]:
    if sample.refused:
        yield f"{sample.refused} of {sample.refused + sample.requests} refused"
    if sample.latency is None:
        yield "no answer"
        return
    lateness = sample.lateness
    if lateness is not None:
        if lateness.unsent:
            yield f"{lateness.unsent} could not be sent"
        if lateness.share > LATE_SHARE and not lateness.is_crowded and lateness.worst_ms > bound_ms:
            yield f"the load generator itself was up to {lateness.worst_ms:.0f} ms late"
    if sample.latency.p99_ms > bound_ms:
        yield f"p99 {sample.latency.p99_ms:.0f} ms"
    if sample.achieved is not None and sample.achieved < ACHIEVED:
        yield f"only {sample.achieved:.0%} answered in time"
