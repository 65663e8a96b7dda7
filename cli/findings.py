"""What an inspection found, for people and for machines."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from inspection import Conclusion, Inspection, Sure

_STYLES: Final = {Sure.GUESSED: "yellow", Sure.OPEN: "bold red", Sure.GIVEN: "cyan"}
_DIGITS: Final = 5


def printable(text: str) -> str:
    """Return a text without what would steer a terminal: files of strangers are quoted in it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def print_inspection(found: Inspection, out: Console, *, open_: bool) -> None:
    """Print what was concluded and from what, and the traps."""
    graph = found.graph
    out.print(str(graph.path), style="bold", soft_wrap=True)
    by = f", by {graph.producer}" if graph.producer else ""
    out.print(printable(f"opset {graph.opset}{by}"), style="dim", soft_wrap=True)
    for kind, values in (("in ", graph.inputs), ("out", graph.outputs)):
        for value in values[:8]:
            out.print(printable(f"  {kind} {value}"), style="dim", soft_wrap=True)
    out.print()
    table = Table("key", "value", "how sure", "from what", box=None, pad_edge=False)
    for conclusion in found.conclusions:
        _add(table, conclusion, open_=open_)
    out.print(table)
    if found.traps:
        out.print()
    for trap in found.traps:
        out.print(Text.assemble(("! ", "bold yellow"), printable(trap)), soft_wrap=True)


def print_questions(found: Inspection, out: Console, typed: Sequence[str]) -> None:
    """Print what is asked, each choice as it is typed, and how to go on, with the options that were `typed`."""
    for question in found.questions:
        out.print()
        out.print(Text.assemble(("? ", "bold red"), (question.text, "bold")), soft_wrap=True)
        for number, (option, meaning) in enumerate(question.choices):
            guess = " (the likeliest)" if number == 0 and len(question.choices) > 1 else ""
            out.print(Text.assemble("    ", (option, "cyan"), f"  {printable(meaning)}{guess}"), soft_wrap=True)
    out.print()
    options = " ".join([shlex.join(typed), *(question.choices[0][0] for question in found.questions)]).strip()
    command = printable(f"kserve-vision inspect {shlex.quote(str(found.graph.path))} {options}")
    out.print("Nothing was written. Say it, or take the likeliest with --accept-guesses, for example:", soft_wrap=True)
    out.print(f"    {command}", style="cyan", soft_wrap=True)


def print_written(found: Inspection, folder: Path, written: Sequence[Path], out: Console) -> None:
    """Print what was written, and what to do next."""
    out.print()
    for path in written:
        out.print(f"wrote {path}", style="green", soft_wrap=True)
    guesses = [each.finding.key for each in found.guesses]
    if guesses:
        out.print(f"check what was guessed: {', '.join(guesses)}; --try PICTURE shows what comes of it", soft_wrap=True)
    out.print(f"next: kserve-vision serve {shlex.quote(str(folder))}", soft_wrap=True)


def to_json(found: Inspection, folder: Path | None, written: Sequence[Path]) -> dict[str, Any]:
    """Return everything as JSON's values."""
    return {
        "model": str(found.graph.path),
        "written": [str(path) for path in written],
        "directory": None if folder is None else str(folder),
        "contract": found.contract(),
        "conclusions": [_conclusion(each) for each in found.conclusions],
        "questions": [
            {
                "key": question.key,
                "question": question.text,
                "choices": [{"option": option, "meaning": meaning} for option, meaning in question.choices],
            }
            for question in found.questions
        ],
        "traps": list(found.traps),
    }


def _conclusion(conclusion: Conclusion) -> dict[str, Any]:
    finding = conclusion.finding
    return {
        "key": finding.key,
        "value": finding.value,
        "sure": finding.sure.value,
        "source": finding.source,
        "conflicts": [{"value": each.value, "source": each.source} for each in conclusion.conflicts],
    }


def _add(table: Table, conclusion: Conclusion, *, open_: bool) -> None:
    finding = conclusion.finding
    style = _STYLES.get(finding.sure, "")
    sure = finding.sure.value
    if finding.sure in (Sure.GUESSED, Sure.OPEN):
        sure = "ASKED" if open_ and finding.sure is Sure.OPEN else "a guess"
    value, source = printable(_text(finding.value)), printable(finding.source)
    table.add_row(finding.key, Text(value), Text(sure, style=style), Text(source), style=style)
    for other in conclusion.conflicts:
        value, source = printable(_text(other.value)), printable(other.source)
        table.add_row("", Text(value), Text("but", style="yellow"), Text(source), style="dim")


def _text(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_text(each) for each in value)}]"
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)
