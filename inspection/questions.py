"""What cannot be told from the model, asked so that one option answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from inspection.answers import NORMALIZATIONS
from inspection.evidence import Dossier, Finding, Sure
from inspection.outputs import Reading


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that only the user can know. A choice is an option as it is typed, and what it would mean; the first is
    what would be guessed.
    """

    key: str
    text: str
    choices: tuple[tuple[str, str], ...]


def which_reading(found: Sequence[Reading]) -> Question:
    """Ask how the outputs are to be read, where shapes and names allow several ways."""
    tasks = {reading.task for reading in found}
    choices = tuple(
        (
            f"--task {reading.task}"
            if len(tasks) == len(found)
            else f"--task {reading.task} --decoder {reading.decoder}",
            f"{reading.source}: {reading.meaning}" if reading.meaning else reading.source,
        )
        for reading in found
    )
    counts = [f"{reading.classes} for {reading.decoder}" for reading in found if reading.classes]
    if (counts and len(set(counts)) == len(found)) or (counts and len(tasks) > 1):
        choices += (("--labels FILE", f"the number of labels decides: {' or '.join(counts)}"),)
    return Question("task", "What do the outputs mean?", choices)


_OF_OUTPUTS: Final[Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "box_unit": (
        "What are the boxes measured in?",
        (
            ("pixels", "pixels of the model's input"),
            ("normalized", "shares of the model's input, 0..1"),
        ),
    ),
    "box_format": (
        "What are the four numbers of a box?",
        (
            ("center", "centre x, centre y, width, height: Ultralytics"),
            ("corners", "left, top, right, bottom: PaddleDetection"),
        ),
    ),
    "first_class": (
        "Which number has the first label?",
        (
            ("0", "0: there is no background among the classes, or the labels name it"),
            ("1", "1: 0 is the background, and has no label"),
        ),
    ),
    "score_first": (
        "What stands behind the box?",
        (
            ("false", "the class, then the score: YOLOv7"),
            ("true", "the score, then the class: super-gradients"),
        ),
    ),
}


def of_the_outputs(reading: Reading, dossier: Dossier) -> list[Question]:
    """Ask for the keys of `output` that nothing tells, unless the user has said them."""
    questions = []
    for key in reading.asks:
        found = dossier.find(f"output.{key}")
        if found is None or found.sure is not Sure.GIVEN:
            text, choices = _OF_OUTPUTS[key]
            options = tuple((f"--set {key}={value}", meaning) for value, meaning in choices)
            questions.append(Question(f"output.{key}", f"{text} The outputs do not tell.", options))
    return questions


def of_the_input(dossier: Dossier) -> list[Question]:
    """Ask what a wrong guess would make of the answers, without an error that anyone could see."""
    questions = []
    normalize = dossier.find("input.normalize")
    if normalize is not None and normalize.sure is Sure.OPEN:
        questions.append(
            Question(
                "input.normalize", "What numbers were pixels in training? The file does not say.", _ways(normalize)
            )
        )
    height, width = dossier.find("input.height"), dossier.find("input.width")
    if height is not None and width is not None and height.sure is Sure.OPEN:
        usual = f"{height.value}x{width.value}"
        choices = (
            (f"--size {usual}", f"{height.source}"),
            ("--size HEIGHTxWIDTH", "what it was trained with, in pixels"),
        )
        questions.append(
            Question("input.height", "What size are its pictures? The graph takes any height and width.", choices)
        )
    return questions


def _ways(guess: Finding) -> tuple[tuple[str, str], ...]:
    """Return the ways to normalise, the guessed one first."""
    ways = [(name, rules == guess.value, meaning) for name, (rules, meaning) in NORMALIZATIONS.items()]
    ways.sort(key=lambda way: not way[1])
    named = tuple((f"--normalize {name}", meaning) for name, _, meaning in ways if name != "u2net")
    return (*named, ("--scale S --mean R,G,B --std R,G,B", "(pixel * scale - mean) / std, in numbers of your own"))
