"""How many boxes the grids of a one-stage detector have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

STRIDES: Final[Sequence[tuple[int, ...]]] = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32))
ANCHORS: Final = 3
"""Boxes a cell of YOLOv3, v4, v5 and v7."""


def cells(size: tuple[int, int] | None) -> dict[int, tuple[int, ...]]:
    """Return, for the numbers of cells that an input of height and width may have, their strides."""
    if size is None:
        return {}
    height, width = size
    found: dict[int, tuple[int, ...]] = {}
    for strides in STRIDES:
        found.setdefault(sum(-(-height // stride) * -(-width // stride) for stride in strides), strides)
    return found
