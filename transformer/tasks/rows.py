"""Findings as V2 tensors: one row for each picture, filled up to the longest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from serving.v2 import Tensor

COLUMNS: Final[Mapping[str, tuple[str, Any, Any, tuple[int, ...]]]] = {
    "labels": ("label", np.object_, "", ()),
    "class_ids": ("class_id", np.int64, -1, ()),
    "scores": ("score", np.float32, 0, ()),
    "shares": ("share", np.float32, 0, ()),
    "boxes": ("box", np.float32, 0, (4,)),
}
"""Of each output: the attribute of a finding, its type, what is filled up with, and the axes of one."""

COUNTS: Final = "counts"
"""INT64 [n]: how many of a row are findings, and do not only fill up."""


def rows_of(findings: Sequence[Sequence[object]], names: Iterable[str], *, least: int = 0) -> list[Tensor]:
    """Return the outputs called `names`, each `[n, k, ...]`, of each picture's findings.

    k is that of the picture with the most, and at least `least`.
    """
    width = max([least, *map(len, findings)])
    tensors = []
    for name in names:
        if name == COUNTS:
            array = np.array([len(row) for row in findings], np.int64)
        else:
            attribute, dtype, fill, axes = COLUMNS[name]
            array = np.full((len(findings), width, *axes), fill, dtype)
            for row, target in zip(findings, array, strict=True):
                if row:
                    target[: len(row)] = [getattr(each, attribute) for each in row]
        tensors.append(Tensor(name, array))
    return tensors
