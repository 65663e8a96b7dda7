"""What was measured, for programs (JSON) and as a picture (PNG)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from pydantic import BaseModel, ConfigDict

from cli.tune.conclusion import Conclusion
from cli.tune.score import Bound, Curve, Level
from cli.tune.trial import Figures, Trial
from cli.tune.verdict import Comparison
from load.machine import Machine
from load.plot import Line, Plot
from load.sample import Percentiles
from serving.contract import Batching, Runtime


class TrialReport(BaseModel):
    """A candidate, and all that was measured of it."""

    model_config = ConfigDict(frozen=True)

    name: str
    is_default: bool
    device: str
    batching: Batching
    runtime: Runtime
    pays: tuple[int, ...]
    """The sizes of batches that its predictor measured to be worth it."""
    load_s: float
    figures: Figures | None
    short: Curve
    rounds: tuple[Curve, ...]
    reason: str


class Report(BaseModel):
    """A run of `kserve-vision tune`."""

    model_config = ConfigDict(frozen=True)

    machine: Machine
    model: str
    asked_with: str
    """What the pictures are."""
    plan: dict[str, Any]
    """The command's options."""
    bound: Bound
    trials: tuple[TrialReport, ...]
    untried: int
    """Candidates that there was no time for."""
    finalists: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    """Of the finalists with what there is."""
    best: str | None
    """The winner's name; None where what there is should be kept."""
    is_sure: bool
    sentence: str
    batching: dict[str, Any] | None
    """The section that won."""
    runtime: dict[str, Any] | None


def trial_report(trial: Trial, bound: Bound, said: Runtime) -> TrialReport:
    """Return a trial as it is reported."""
    return TrialReport(
        name=trial.name(said),
        is_default=trial.is_default,
        device=trial.candidate.device,
        batching=trial.candidate.batching,
        runtime=trial.candidate.runtime,
        pays=trial.pays,
        load_s=trial.load_s,
        figures=trial.figures(bound),
        short=trial.short,
        rounds=tuple(trial.rounds),
        reason=trial.reason,
    )


def plot_of(title: str, trials: Sequence[Trial], bound: Bound, said: Runtime, conclusion: Conclusion) -> Plot:
    """Return latency against throughput: for each candidate a line of p99, and a dashed one of p50.

    Raises:
        ValueError: nothing was answered.
    """
    lines = [line for trial in trials if trial.curves for line in _lines(trial, said, conclusion)]
    if not lines:
        raise ValueError("nothing was answered, so that there is nothing to draw")
    return Plot(
        title=title,
        x_label="rows a second",
        y_label="latency, ms: p99, and p50 dashed",
        lines=tuple(lines),
        bound=(str(bound), bound.ms),
    )


def _lines(trial: Trial, said: Runtime, conclusion: Conclusion) -> Iterator[Line]:
    points = list(_points(trial.curves))
    note = " (as it is)" if trial.is_default else " (best)" if trial is conclusion.best else ""
    yield Line(f"{trial.name(said)}{note}", tuple((x, latency.p99_ms) for x, latency in points))
    yield Line("", tuple((x, latency.p50_ms) for x, latency in points), is_dashed=True, shares_color=True)


def _points(curves: Sequence[Curve]) -> Iterator[tuple[float, Percentiles]]:
    """Yield throughput and latency by the number of clients: of all rounds the medians."""
    by_clients: dict[int, list[Level]] = {}
    for curve in curves:
        for level in curve:
            by_clients.setdefault(level.clients, []).append(level)
    for _, levels in sorted(by_clients.items()):
        latencies = sorted((level.sample.answered for level in levels), key=lambda each: each.p99_ms)
        yield median(level.sample.per_second for level in levels), latencies[len(latencies) // 2]
