"""The report: a table for people, one JSON object for programs, and the figures' own documentation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from bench.figures import FIGURES, SECTIONS, Figure, Section
from bench.rounds import Round
from bench.run import Plan
from load.machine import Machine

OTHER_KEYS: Final = {
    "machine": "What it was measured on: CPU, CPUs, load before the run, versions.",
    "plan": "How it was measured: rounds, seconds of each window, clients, flags of the servers.",
    "goals": "By figure: the bound that it should keep, `at most` or `at least`.",
    "per_round": "By figure: its value in each round, in order; the figure itself is their median.",
    "samples": "By round: each variant's raw sample (requests, rate, percentiles, CPU ms by process, bytes).",
}
"""The keys of the JSON object that are no figures."""


def to_json(plan: Plan, machine: Machine, rounds: Sequence[Round]) -> str:
    """Return the run as one JSON object: a key for each figure (null where it was not measured), and `OTHER_KEYS`."""
    report: dict[str, Any] = {"machine": machine.model_dump(), "plan": plan.model_dump()}
    report |= {figure.key: figure.value(rounds) for figure in FIGURES}
    report["goals"] = {figure.key: {figure.goal.rule: figure.goal.bound} for figure in FIGURES if figure.goal}
    report["per_round"] = {figure.key: figure.in_rounds(rounds) for figure in FIGURES}
    report["samples"] = [measured.model_dump() for measured in rounds]
    return json.dumps(report, indent=2) + "\n"


def to_table(section: Section, rounds: Sequence[Round]) -> Table:
    """Return a section as a table of 80 columns: medians, ranges over the rounds, and goals where there are any."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    table.add_column(section.title, width=32, no_wrap=True)
    table.add_column("median", width=8, justify="right")
    table.add_column("", width=5)
    table.add_column("range", width=16, justify="right")
    table.add_column("goal", width=6)
    table.add_column("met")
    for figure in section.figures:
        table.add_row(*_row(figure, rounds))
    return table


def to_markdown() -> str:
    """Return the figures' documentation, the part of bench/README.md that is made from the code."""
    lines: list[str] = []
    for section in SECTIONS:
        lines += [f"### {section.title}", "", "| key | unit | goal | meaning |", "|---|---|---|---|"]
        lines += [f"| `{f.key}` | {f.unit} | {f.goal or ''} | {f.meaning} |" for f in section.figures]
        lines.append("")
    lines += ["### The other keys", "", "| key | meaning |", "|---|---|"]
    lines += [f"| `{key}` | {meaning} |" for key, meaning in OTHER_KEYS.items()]
    return "\n".join(lines) + "\n"


def _row(figure: Figure, rounds: Sequence[Round]) -> list[str]:
    value = figure.value(rounds)
    if value is None:
        return [figure.key, "-"]
    values = figure.in_rounds(rounds)
    spread = f"{_number(min(values))} to {_number(max(values))}"
    row = [figure.key, _number(value), figure.unit, spread]
    if figure.goal:
        row += [str(figure.goal), "[green]yes" if figure.goal.met(value) else "[yellow]no"]
    return row


def _number(value: float) -> str:
    """Show three digits or so: more were not measured."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"  # noqa: PLR2004  # two and three digits
