"""What one measurement brings, whichever process took it, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


class Measured(BaseModel):
    """What happened in one window of time: the raw result, as the measuring process reports it."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """The length of the window."""
    latencies_ms: tuple[float, ...]
    """One for each request (or call) that ended in the window, in the order of their ends."""
    cpu_seconds: dict[str, float]
    """CPU seconds that each process used in the window, by its name."""
    sent_bytes: float = 0.0
    """Bytes of one request's body or message, on average."""
    answer_bytes: float = 0.0
    """Bytes of one answer's body or message, on average."""


class Sample(BaseModel):
    """One variant in one round, summed up. A request is one picture, or one tensor of one picture."""

    model_config = ConfigDict(frozen=True)

    requests: int
    per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]
    """CPU milliseconds of each process for one request: transformer, predictor, generator; or limit, in-process."""
    sent_bytes: float
    answer_bytes: float

    def cpu(self, *processes: str) -> float:
        """Return the CPU milliseconds of these processes together."""
        return sum(self.cpu_ms[name] for name in processes)


class FirstRequest(BaseModel):
    """A pair that was started for this, and its first requests after it said that it was ready."""

    model_config = ConfigDict(frozen=True)

    first_ms: float
    steady_ms: float
    """The median of those that followed."""


class NothingMeasured(RuntimeError):
    """No request ended in the window: the window is too short for this machine."""


def sum_up(measured: Measured) -> Sample:
    """Return a measurement's sample.

    Raises:
        NothingMeasured: it holds no request.
    """
    count = len(measured.latencies_ms)
    if not count:
        raise NothingMeasured(f"no request ended within {measured.seconds:.2f} s: give more --seconds")
    ordered = sorted(measured.latencies_ms)
    return Sample(
        requests=count,
        per_second=count / measured.seconds,
        p50_ms=percentile(ordered, 50),
        p90_ms=percentile(ordered, 90),
        p99_ms=percentile(ordered, 99),
        cpu_ms={name: 1000 * seconds / count for name, seconds in measured.cpu_seconds.items()},
        sent_bytes=measured.sent_bytes,
        answer_bytes=measured.answer_bytes,
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of sorted values, linear between the two nearest ranks, as `numpy.percentile` does."""
    position = (len(ordered) - 1) * percent / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
