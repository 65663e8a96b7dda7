"""What is observed of a canary, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.findings import printable
from rollout import Observed, Phase, Version

COMMAND: Final = "kserve-vision canary"
MAX_LINES: Final = 40
"""Of a difference that is shown."""


def to_json(observed: Observed) -> dict[str, Any]:
    """Everything as JSON's values."""
    return {**asdict(observed), "phase": observed.phase.value}


def print_observed(observed: Observed, out: Console) -> None:
    """Print both versions with the traffic that they get, what else is to be known, and what comes next."""
    asked = "" if observed.wished is None else f", {observed.wished} % asked for"
    head = f"{observed.namespace}/{observed.name}  {observed.mode}  canary: {observed.phase}{asked}"
    out.print(printable(head), style="bold", soft_wrap=True)
    table = Table("", "version", "model", "traffic", "state", box=None, pad_edge=False)
    _add(table, "stable", observed.stable)
    if observed.candidate is not None:
        _add(table, "candidate", observed.candidate)
    out.print(table)
    for line in observed.differences:
        out.print(Text.assemble(("! ", "bold yellow"), printable(f"edited since the start: {line}")), soft_wrap=True)
    for line in observed.notes:
        out.print(Text.assemble(("! ", "bold yellow"), printable(line)), soft_wrap=True)
    for line in next_commands(observed):
        out.print(printable(line), style="cyan", soft_wrap=True)


def print_changes(lines: Sequence[str], out: Console) -> None:
    """Print a difference, what goes away in red and what comes in green."""
    styles = {"-": "red", "+": "green"}
    for line in lines[:MAX_LINES]:
        out.print(printable(f"    {line}"), style=styles.get(line[:1], "dim"), soft_wrap=True)
    if len(lines) > MAX_LINES:
        out.print(f"    ... and {len(lines) - MAX_LINES} lines more", style="dim", soft_wrap=True)


def next_commands(observed: Observed) -> list[str]:
    """What can be typed next."""
    options = f"{observed.name} --namespace {observed.namespace}"
    match observed.phase:
        case Phase.NONE:
            return []
        case Phase.RUNNING:
            return [f"next: {COMMAND} set {options} --percent N", f"      {COMMAND} promote {options}",
                    f"      {COMMAND} abort {options}"]  # fmt: skip
        case Phase.PROMOTING:
            return [f"next: {COMMAND} promote {options}  (it goes on)", f"      {COMMAND} abort {options}"]
        case Phase.PROMOTED:
            return [f"next: {COMMAND} promote {options}  (it takes the record away)"]
        case Phase.EDITED:
            restores = f"next: {COMMAND} abort {options} --despite-edits  (restores what was there before the start)"
            forgets = f"next: {COMMAND} promote {options} --despite-edits  (it takes the record away)"
            return [forgets if observed.has_its_place else restores]
        case _:
            return [f"next: {COMMAND} abort {options}  (it goes on)"]


def _add(table: Table, role: str, version: Version) -> None:
    percent = "not known" if version.percent is None else f"{version.percent} %"
    state = "ready" if version.ready else f"not ready: {version.why}"
    table.add_row(role, *map(printable, (version.name, version.uri, percent, state)))
