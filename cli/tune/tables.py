"""The candidates, for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.bench.tables import MB, NONE, digits
from cli.tune.score import Bound
from cli.tune.trial import Trial
from serving.contract import Runtime

LONGEST_REASON: Final = 160


def trial_table(trials: Sequence[Trial], bound: Bound | None, said: Runtime, best: Trial | None = None) -> Table:
    """Return a row for each candidate, the most rows a second first; those that failed come last, with the reason.

    Beside the most rows a second within the bound stand the clients that they came with, what they waited, a lone
    request's median, the predictor's CPU time for a row, and its largest memory.
    """
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("runs x threads", no_wrap=True)
    for name in ("rows/s", "clients", "p50 ms", "p99", "alone", "CPU ms", "MB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    if bound is None:
        return table
    for trial in sorted(trials, key=lambda each: -each.score(bound)):
        table.add_row(*_cells(trial, bound, said), style="bold" if trial is best else "")
    return table


def _cells(trial: Trial, bound: Bound, said: Runtime) -> list[str | Text]:
    figures = trial.figures(bound)
    name = trial.name(said)
    if figures is None:
        reason = " ".join(trial.reason.split())[:LONGEST_REASON]
        return [name, *[NONE] * 7, Text(reason or "not measured", style="yellow" if reason else "dim")]
    latency = figures.latency
    return [
        name,
        digits(figures.rows_per_second) if figures.rows_per_second else NONE,
        str(figures.clients or NONE),
        digits(latency.p50_ms) if latency else NONE,
        digits(latency.p99_ms) if latency else NONE,
        digits(figures.alone_p50_ms),
        digits(figures.cpu_ms) if figures.cpu_ms is not None else NONE,
        f"{figures.peak_bytes / MB:.0f}",
        Text(_note(trial), style="yellow" if trial.reason else "dim"),
    ]


def _note(trial: Trial) -> str:
    if trial.reason:
        return " ".join(trial.reason.split())[:LONGEST_REASON]
    notes = ["as it is"] if trial.is_default else []
    count = len(trial.rounds)
    notes += [f"{count} round{'s' if count > 1 else ''}"] if count else []
    return ", ".join(notes)
