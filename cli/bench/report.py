"""What was measured, for programs (JSON) and as a picture (PNG)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from cli.bench.tables import Step
from load.machine import Machine
from load.plan import Closed, Open
from load.plot import Line, Plot
from load.sample import Percentiles, Sample
from load.search import Found, Verdict


class StepReport(BaseModel):
    """One load, and what came of it."""

    model_config = ConfigDict(frozen=True)

    load: Closed | Open
    sample: Sample


class WindowReport(BaseModel):
    """One window of a search."""

    model_config = ConfigDict(frozen=True)

    rate: float
    holds: bool
    why_not: str
    sample: Sample


class SearchReport(BaseModel):
    """A search, and what it found."""

    model_config = ConfigDict(frozen=True)

    p99_ms: float
    """The bound."""
    best: float | None
    """The highest rate that holds, in requests a second."""
    fails: float | None
    """The lowest rate that does not."""
    windows: tuple[WindowReport, ...]


class Report(BaseModel):
    """A run of `kserve-vision bench`."""

    model_config = ConfigDict(frozen=True)

    machine: Machine
    target: str
    """Whom it asked, and what."""
    plan: dict[str, Any]
    """The command's options."""
    steps: tuple[StepReport, ...]
    search: SearchReport | None = None


def search_report(found: Found) -> SearchReport:
    """Return a search as it is reported."""
    return SearchReport(
        p99_ms=found.bound_ms,
        best=found.best.rate if found.best else None,
        fails=found.fails,
        windows=tuple(
            WindowReport(rate=each.rate, holds=each.holds, why_not=each.why_not, sample=each.sample)
            for each in found.verdicts
        ),
    )


def plot_of(title: str, steps: Sequence[Step], found: Found | None) -> Plot:
    """Return latency against throughput: a point for each load, or for each rate of a search.

    Raises:
        ValueError: nothing was answered.
    """
    points: list[tuple[float, Percentiles | None, str]]
    points = [(step.sample.per_second, step.sample.latency, str(step.load)) for step in steps]
    if found is not None:
        points = [(rate, latency, "") for rate, latency in _points_of(found.verdicts)]
    answered = [(x, latency, label) for x, latency, label in points if latency is not None]
    if not answered:
        raise ValueError("nothing was answered, so that there is nothing to draw")
    return Plot(
        title=title,
        x_label="answers a second" if found is None else "requests a second, as asked",
        y_label="latency, ms",
        lines=(
            Line("p50", tuple((x, latency.p50_ms) for x, latency, _ in answered)),
            Line(
                "p99",
                tuple((x, latency.p99_ms) for x, latency, _ in answered),
                labels=tuple(label for _, _, label in answered),
            ),
        ),
        bound=(f"p99 of {found.bound_ms:g} ms", found.bound_ms) if found is not None else None,
    )


def _points_of(verdicts: Sequence[Verdict]) -> Iterator[tuple[float, Percentiles]]:
    """Yield the latencies of each rate, in their order: of the window with the median 99th percentile."""
    for rate in sorted({verdict.rate for verdict in verdicts}):
        windows = [each.sample.latency for each in verdicts if each.rate == rate and each.sample.latency is not None]
        if windows:
            windows.sort(key=lambda latency: latency.p99_ms)
            yield rate, windows[len(windows) // 2]
