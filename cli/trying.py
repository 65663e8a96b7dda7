"""`kserve-vision inspect --try`: one picture through the contract that was concluded, and through others."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.album import Album
from cli.predict import Outcome, Question, predict_here
from cli.tables import table_of
from inspection import NORMALIZATIONS, Answers, Inspection, InspectionError, Sure
from inspection import inspect as inspect_model
from serving.errors import ServingError
from serving.log import configure_logging

_LARGEST: Final = 200 << 20
"""Bytes of a model that is loaded once more for each alternative."""
_SHOWN: Final = 3
_NOT_DRAWN: Final = ("raw", "embedding")
"""Tasks whose answers are numbers."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a picture gives by the contract, and by other answers to what it guesses, each under its option."""

    outcome: Outcome
    others: tuple[tuple[str, Outcome], ...]
    undrawn: str = ""
    """Why nothing was drawn, although that was asked for."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON's values."""
        drawn = self.outcome.drawn
        return {
            "picture": str(self.outcome.picture),
            "predictions": self.outcome.predictions,
            "error": self.outcome.error or None,
            "drawn": None if drawn is None else str(drawn),
            "alternatives": [
                {"option": option, "predictions": other.predictions, "error": other.error or None}
                for option, other in self.others
            ],
        }


def try_model(found: Inspection, answers: Answers, picture: Path, save: Path | None) -> Trial:
    """Predict a picture, and draw it in the folder `save`; None draws nothing.

    Raises:
        ServingError: the model cannot be loaded.
        OSError: the picture cannot be read, or the folder not be written.
    """
    configure_logging("ERROR", "console", "local")
    task = found.value("task")
    is_drawn = task not in _NOT_DRAWN
    album = Album(save, [picture]) if save is not None and is_drawn else None
    outcome = _predict(found, picture, album)
    undrawn = "" if save is None or is_drawn else f"nothing is drawn: an answer of the task {task} is numbers"
    return Trial(outcome, tuple(_alternatives(found, answers, picture)), undrawn)


def print_trial(trial: Trial, out: Console) -> None:
    """Print what was predicted, and what would be."""
    outcome = trial.outcome
    out.print()
    out.print(str(outcome.picture), style="bold", soft_wrap=True)
    out.print(Text(outcome.error, style="bold red") if outcome.error else table_of(outcome.predictions))
    if outcome.drawn is not None:
        out.print(f"drawn: {outcome.drawn}", style="green", soft_wrap=True)
    if trial.undrawn:
        out.print(trial.undrawn, style="yellow", soft_wrap=True)
    if not trial.others:
        return
    out.print()
    out.print("What other answers to the guesses would give:", style="bold")
    table = Table("option", "prediction", box=None, pad_edge=False)
    table.add_row("(as concluded)", Text(outcome.error or _best(outcome)))
    for option, other in trial.others:
        table.add_row(Text(option), Text(other.error or _best(other)))
    out.print(table)


def _predict(found: Inspection, picture: Path, album: Album | None = None) -> Outcome:
    """Predict by a model directory that goes again, which warms up with one picture in the place of many."""
    with tempfile.TemporaryDirectory(prefix="kserve-vision-") as name:
        folder, _ = found.write(Path(name) / "model")
        if found.value("batching.max_batch_size") is None:
            with (folder / "model.yaml").open("a", encoding="utf-8") as contract:
                contract.write("\nbatching:\n  max_batch_size: 1\n")

        async def ask() -> list[Outcome]:
            question = Question(top_k=None, album=album, name=None)
            return [outcome async for outcome in predict_here([picture], folder, question)]

        (outcome,) = asyncio.run(ask())
        return outcome


def _alternatives(found: Inspection, answers: Answers, picture: Path) -> Iterator[tuple[str, Outcome]]:
    """Tell what each other answer to a guess would give, as long as the model is small."""
    if found.graph.path.stat().st_size > _LARGEST or found.graph.data_files:
        return
    for option, changed in _ways(found, answers):
        try:
            yield option, _predict(inspect_model(found.graph.path, changed), picture)
        except (ServingError, InspectionError) as error:
            yield option, Outcome(picture, error=str(error))


def _ways(found: Inspection, answers: Answers) -> Iterator[tuple[str, Answers]]:
    sures = {each.finding.key: each.finding.sure for each in found.guesses}
    for question in found.questions:
        for option, _ in question.choices[1:]:
            flag, said, *decoder = option.split()
            if flag == "--task":
                yield option, replace(answers, task=said, decoder=decoder[-1] if decoder else answers.decoder)
            elif flag == "--set":
                key, _, value = said.partition("=")
                yield option, replace(answers, output={**(answers.output or {}), key: yaml.safe_load(value)})
    if "input.color" in sures:
        other = "bgr" if found.value("input.color") == "rgb" else "rgb"
        yield f"--color {other}", replace(answers, color=other)
    if sures.get("input.normalize") is Sure.OPEN:
        for name, (rules, _) in NORMALIZATIONS.items():
            if name != "u2net" and {"scale": 1 / 255, **rules} != found.value("input.normalize"):
                yield f"--normalize {name}", replace(answers, normalize=name)


def _best(outcome: Outcome) -> str:
    """Return the best of an answer in a few words."""
    rows: Any = outcome.predictions
    if isinstance(rows, dict):
        rows = next((rows[key] for key in ("segments", "instances") if key in rows), None)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "label" in row for row in rows):
        return "numbers"
    shown = [f"{row['label']} {row.get('score', row.get('share', 0)):.3f}" for row in rows[:_SHOWN]]
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return ", ".join(shown) + more if shown else "nothing"
