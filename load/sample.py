"""A measurement, summed up: what tables, plots and searches stand on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from load.measured import Measured, Probed

MS: Final = 1000.0


class NothingMeasured(RuntimeError):
    """No request was answered with OK in the window, so that there is nothing to sum up."""


class Percentiles(BaseModel):
    """Latencies, in milliseconds."""

    model_config = ConfigDict(frozen=True)

    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Lateness(BaseModel):
    """How far an open loop's generator was behind the times at which requests were due."""

    model_config = ConfigDict(frozen=True)

    due: int
    """Requests that were due in the window."""
    late: int
    """How many were sent late: by more than a timer's tick."""
    worst_ms: float
    """By how much, at the worst."""
    crowded: int
    """How many waited to be sent because as many as may were waiting for an answer."""
    unsent: int
    """How many were never sent for that."""

    @property
    def share(self) -> float:
        """The share of requests that were sent late, or not at all."""
        return (self.late + self.unsent) / self.due if self.due else 0.0

    @property
    def is_crowded(self) -> bool:
        """Whether the bound on outstanding requests is to blame, rather than the generator."""
        return 2 * self.crowded > self.late + self.unsent


class Sample(BaseModel):
    """One window, summed up. A request is one picture, or one tensor of one picture."""

    model_config = ConfigDict(frozen=True)

    requests: int
    """How many were answered with OK."""
    per_second: float
    """Answers that were OK and ended in the window, a second of it."""
    latency: Percentiles | None
    """Of the answers that were OK; None where there was none."""
    latency_of_all: Percentiles | None = None
    """Of every request, however it ended."""
    refused: int = 0
    """How many were not answered with OK."""
    kinds: dict[str, int] = Field(default_factory=dict)
    """How many requests ended in each way: by status and code."""
    said: dict[str, str] = Field(default_factory=dict)
    """What the server said first in each way that is not OK."""
    retry_after: int = 0
    """How many answers had a `Retry-After`."""
    reconnected: int = 0
    """How many requests were sent again, because the server closed an idle connection as they came."""
    achieved: float | None = None
    """Of an open loop only: answers that were OK and ended in the window, over the requests that were due in it."""
    lateness: Lateness | None = None
    """Of an open loop only."""
    cpu_ms: dict[str, float]
    """CPU milliseconds of each process for one answer that was OK, by the process' name."""
    peak_bytes: dict[str, int] = Field(default_factory=dict)
    """The most memory that each process had held by the window's end, since it began."""
    health: dict[str, Percentiles] = Field(default_factory=dict)
    """Of the routes that were asked beside the load."""
    interrupted: bool = False
    """Whether the window was closed before its time."""
    sent_bytes: float = 0.0
    answer_bytes: float = 0.0

    @property
    def answered(self) -> Percentiles:
        """The latencies of the answers that were OK.

        Raises:
            NothingMeasured: there was none.
        """
        if self.latency is None:
            raise NothingMeasured("no request was answered with OK")
        return self.latency

    def cpu(self, *processes: str) -> float:
        """Return the CPU milliseconds of these processes together."""
        return sum(self.cpu_ms[name] for name in processes)


def sum_up(measured: Measured) -> Sample:
    """Return a measurement's sample."""
    in_window = len(measured.latencies_ms) if measured.in_window is None else measured.in_window
    return Sample(
        requests=len(measured.latencies_ms),
        per_second=in_window / measured.seconds,
        latency=percentiles(measured.latencies_ms),
        latency_of_all=percentiles((*measured.latencies_ms, *measured.refused_ms)),
        refused=len(measured.refused_ms),
        kinds=measured.kinds,
        said=measured.said,
        retry_after=measured.retry_after,
        reconnected=measured.reconnected,
        achieved=in_window / measured.sending.due if measured.sending and measured.sending.due else None,
        lateness=_lateness(measured),
        cpu_ms={name: MS * cpu / in_window for name, cpu in measured.cpu_seconds.items()} if in_window else {},
        peak_bytes=measured.peak_bytes,
        health={name: found for name, probed in measured.probed.items() if (found := _health(probed)) is not None},
        interrupted=measured.interrupted,
        sent_bytes=measured.sent_bytes,
        answer_bytes=measured.answer_bytes,
    )


def percentiles(values_ms: Sequence[float]) -> Percentiles | None:
    """Return the percentiles of latencies in any order; None of none."""
    if not values_ms:
        return None
    ordered = sorted(values_ms)
    return Percentiles(
        p50_ms=percentile(ordered, 50),
        p90_ms=percentile(ordered, 90),
        p95_ms=percentile(ordered, 95),
        p99_ms=percentile(ordered, 99),
        p999_ms=percentile(ordered, 99.9),
        max_ms=ordered[-1],
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of sorted values, linear between the two nearest ranks, as `numpy.percentile` does."""
    position = (len(ordered) - 1) * percent / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _lateness(measured: Measured) -> Lateness | None:
    sending = measured.sending
    if sending is None:
        return None
    return Lateness(
        due=sending.due,
        late=len(sending.late_ms),
        worst_ms=max(sending.late_ms, default=0.0),
        crowded=sending.crowded,
        unsent=sending.unsent,
    )


def _health(probed: Probed) -> Percentiles | None:
    return percentiles(probed.latencies_ms)
