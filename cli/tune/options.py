"""The command's options, from text to what is searched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import typer

from predictor.engines.device import Device
from serving.contract import EngineName, Precision, Runtime


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    model: str
    pictures: tuple[Path, ...]
    p99: float | None
    """Milliseconds; None takes the knee."""
    device: Device
    engines: tuple[Runtime, ...]
    """To try beside the contract's own."""
    seconds: float
    budget_s: float
    out: Path | None
    plot: Path | None
    write: bool


def parse_engines(texts: Iterable[str]) -> tuple[Runtime, ...]:
    """Return the engines of `openvino` or `openvino:bf16`; the precision is `fp32` where it is not said.

    Raises:
        typer.BadParameter: it is none.
    """
    return tuple(map(_engine, texts))


def _engine(text: str) -> Runtime:
    engine, _, precision = text.partition(":")
    try:
        return Runtime(engine=EngineName(engine), precision=Precision(precision or Precision.FP32))
    except ValueError as error:
        engines, precisions = ", ".join(EngineName), ", ".join(Precision)
        raise typer.BadParameter(
            f"--engine {text!r}: ENGINE or ENGINE:PRECISION is expected, of {engines}, and {precisions}"
        ) from error
