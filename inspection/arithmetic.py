"""What the graph itself does with its pixels before its first layer: `a * x + b`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inspection.graph import Step

_CHANNELS: Final = 3
_OF_BYTES: Final = 0.1
"""Slopes below it bring 0..255 to numbers around 1: 1/255, 1/127.5 and 1/57 are; 1/0.225 and 2 are of 0..1."""

_LEAST: Final = 1e-6
"""The least of all slopes: 1/65535, of pictures of 16 bits, is more."""


@dataclass(frozen=True, slots=True)
class Affine:
    """`slope * x + offset`, of each channel or of all."""

    slope: NDArray[Any]
    offset: NDArray[Any]

    @property
    def takes_bytes(self) -> bool:
        """Whether pixels go in as 0..255."""
        return bool(np.abs(self.slope).max() < _OF_BYTES)

    def __str__(self) -> str:
        inverse = [f"{1 / each:.4g}" for each in np.unique(np.round(self.slope, 9))]
        shift = "" if not self.offset.any() else " and a shift"
        return f"a division by {', '.join(inverse)}{shift}"


def arithmetic_of(steps: Sequence[Step]) -> Affine | None:
    """Return what the first nodes compute; None where they compute nothing, or nothing that makes sense of pixels."""
    slope, offset = np.ones(1), np.zeros(1)
    with np.errstate(all="ignore"):  # what is not finite is found at the end
        for step in steps:
            if step.operator in ("Identity", "Cast", "Transpose"):
                continue
            number = _constant(step)
            if number is None:
                break
            match step.operator:
                case "Mul":
                    slope, offset = slope * number, offset * number
                case "Div" if not step.constant_first:
                    slope, offset = slope / number, offset / number
                case "Sub":
                    slope, offset = (-slope, number - offset) if step.constant_first else (slope, offset - number)
                case "Add":
                    offset = offset + number
                case _:
                    break
        makes_sense = np.isfinite(offset).all() and np.all((np.abs(slope) > _LEAST) & (np.abs(slope) < 1 / _LEAST))
    nothing = np.all(slope == 1) and not offset.any()
    return Affine(slope, offset) if makes_sense and not nothing else None


def _constant(step: Step) -> NDArray[Any] | None:
    """Return the one constant of a step: a number, or one for each channel."""
    if len(step.constants) != 1 or step.constants[0].dtype.kind not in "fiu":
        return None
    number = step.constants[0].reshape(-1).astype(np.float64)
    return number if number.size in (1, _CHANNELS) else None
