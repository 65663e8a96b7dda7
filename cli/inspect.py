"""`kserve-vision inspect`: a contract that writes itself."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml
from rich.console import Console

from cli.findings import print_inspection, print_questions, print_written, printable, to_json
from cli.trying import print_trial, try_model
from inspection import (
    NORMALIZATIONS,
    RESIZES,
    Answers,
    AnswerUnfit,
    InspectionError,
)
from inspection import inspect as inspect_model
from serving.contract import Interpolation
from serving.decoders import DECODERS
from serving.errors import ServingError

WIDE: Final = 200
"""The columns of a table that goes into a file."""
ASKED: Final = 3
"""The exit code where nothing is written, since a question is open."""
_NOT_REPEATED: Final = ("model", "dry_run", "as_json")
"""What is left out where the command is shown with the answers to what is asked."""
_SEVERAL: Final = "Asked where it cannot be told"


def inspect(  # noqa: PLR0913  # each is a flag
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="An ONNX file, or the folder that holds one.")],
    *,
    output: Annotated[
        Path | None, typer.Option(help="Write a model directory of its own, with the model copied into it.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace a model.yaml, or labels, that are there already.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Write nothing.")] = False,
    accept_guesses: Annotated[
        bool, typer.Option(help="Write the likeliest guess in the place of what is asked.")
    ] = False,
    try_: Annotated[
        Path | None,
        typer.Option(
            "--try",
            help="Predict this picture with what was concluded, and with the other answers to what was guessed.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    save: Annotated[Path, typer.Option(help="Where --try writes the picture with what was predicted.")] = Path("tried"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
    task: Annotated[str | None, typer.Option(help=f"{_SEVERAL}: {', '.join(DECODERS)}.")] = None,
    decoder: Annotated[
        str | None, typer.Option(help=f"What the outputs mean. {_SEVERAL}: a decoder of the task.")
    ] = None,
    tensor: Annotated[str | None, typer.Option(help="The name of the output that counts, where there are several.")] = (
        None
    ),
    labels: Annotated[
        Path | None, typer.Option(help="A file of labels: one a line, JSON, or a label map.", exists=True)
    ] = None,
    size: Annotated[str | None, typer.Option(help=f"HEIGHTxWIDTH, in pixels. {_SEVERAL}.")] = None,
    normalize: Annotated[str | None, typer.Option(help=f"{_SEVERAL}: {', '.join(NORMALIZATIONS)}.")] = None,
    mean: Annotated[str | None, typer.Option(help="R,G,B (B,G,R with --color bgr), subtracted after --scale.")] = None,
    std: Annotated[str | None, typer.Option(help="R,G,B (B,G,R with --color bgr), divided by last.")] = None,
    scale: Annotated[str | None, typer.Option(help="What a pixel, 0..255, is multiplied with first; or max.")] = None,
    color: Annotated[str | None, typer.Option(help="The order of the channels: rgb or bgr.")] = None,
    resize: Annotated[str | None, typer.Option(help=f"How a picture is brought to size: {', '.join(RESIZES)}.")] = None,
    shorter_side: Annotated[
        int | None, typer.Option(min=1, help="Of --resize crop and shortest_edge, in pixels.")
    ] = None,
    interpolation: Annotated[
        Interpolation | None, typer.Option(help="The filter that a picture is resampled with.")
    ] = None,
    license: Annotated[str | None, typer.Option(help="The licence of the weights, as an SPDX identifier.")] = None,  # noqa: A002  # the flag's name
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A key of output, as box_unit=normalized; may be said several times."),
    ] = None,
) -> None:
    """Find out how an ONNX model is served, and write its model.yaml.

    Exit codes: 0, written. 1, the model cannot be served, or something is in the way. 2, an option does not fit.
    3, a question is open, and nothing was written.
    """
    err = Console(stderr=True, highlight=False, markup=False)
    try:
        answers = Answers(
            task=task, decoder=decoder, tensor=tensor, labels=labels, normalize=normalize,
            mean=_numbers("--mean", mean), std=_numbers("--std", std), scale=_scale(scale), resize=resize,
            shorter_side=shorter_side, size=_size(size), color=color, license=license, output=_output(set_ or ()),
            interpolation=interpolation and interpolation.value,
        )  # fmt: skip
        found = inspect_model(model, answers)
        open_ = bool(found.questions) and not accept_guesses
        # A pipe or a file has no width of its own: its lines are not broken.
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE
        out = Console(highlight=False, markup=False, width=width)
        if not as_json:
            print_inspection(found, out, open_=open_)
        folder, written = (None, []) if open_ or dry_run else found.write(output, force=force)
        if folder is not None and not as_json:
            print_written(found, folder, written, out)
        trial = None if try_ is None else try_model(found, answers, try_, None if open_ else save)
    except AnswerUnfit as error:
        err.print(printable(str(error)), style="bold red", soft_wrap=True)
        raise typer.Exit(2) from error
    except (InspectionError, ServingError, OSError) as error:
        err.print(printable(str(error)), style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error
    if as_json:
        tried = {} if trial is None else {"tried": trial.to_json()}
        typer.echo(json.dumps(to_json(found, folder, written) | tried, ensure_ascii=False))
    else:
        if trial is not None:
            print_trial(trial, out)
        if open_:
            print_questions(found, out, _typed(context))
    failed = trial is not None and bool(trial.outcome.error)
    raise typer.Exit(1 if failed else ASKED if open_ else 0)


def _typed(context: typer.Context) -> list[str]:
    """Return the options that were typed and go with the answers to what is asked."""
    typed: list[str] = []
    for each in context.command.params:
        name = each.name or ""
        value, source = context.params.get(name), context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE" or name in _NOT_REPEATED:
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            typed += [each.opts[0]] if one is True else [each.opts[0], str(one)]
    return typed


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        found = tuple(float(each) for each in text.split(","))
    except ValueError as error:
        raise AnswerUnfit(f"{option} is {text!r}: one number, or three with commas between, is expected") from error
    if len(found) not in (1, 3):
        raise AnswerUnfit(f"{option} has {len(found)} numbers: one for all channels, or three, is expected")
    return found


def _scale(text: str | None) -> float | str | None:
    if text is None or text == "max":
        return text
    (number,) = _numbers("--scale", text.split(",", maxsplit=1)[0]) or (0.0,)
    if number <= 0 or "," in text:
        raise AnswerUnfit(f"--scale is {text!r}: one number above 0, or max, is expected")
    return number


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = text.lower().split("x")
    if not all(side.isascii() and side.isdigit() and 0 < int(side) < 100_000 for side in sides) or len(sides) > 2:  # noqa: PLR2004
        raise AnswerUnfit(f"--size is {text!r}: HEIGHTxWIDTH in pixels, such as 480x640, is expected")
    return int(sides[0]), int(sides[-1])


def _output(pairs: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.removeprefix("output.").partition("=")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise AnswerUnfit(f"--set {pair}: {value!r} is no value of YAML") from error
        if not equals or not key.isidentifier():
            raise AnswerUnfit(f"--set {pair}: KEY=VALUE is expected, such as box_unit=normalized")
    return found
