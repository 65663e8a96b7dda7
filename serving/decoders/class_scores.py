"""From a column for each class to scores: the activation that the graph leaves out, and the background's column."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import numpy as np

from serving.decoders.ops import Ops, V
from serving.errors import ContractInvalid

BACKGROUND_LABELS: Final = frozenset({"background", "__background__", "_background_"})
"""What lists of labels call the background, in lower case; the second is torchvision's."""
_PLACE_HOLDERS: Final = frozenset({"", "???"})
"""What stands at its place where it has no name; nothing where a JSON file starts at 1."""


class Activation(StrEnum):
    """What makes scores of the graph's numbers."""

    NONE = "none"
    """They are scores."""
    SOFTMAX = "softmax"
    """One class a box: the scores of all columns together are 1."""
    SIGMOID = "sigmoid"
    """Each class by itself."""


class Background(StrEnum):
    """Which column stands for no object at all. Class ids do not count it."""

    NONE = "none"
    FIRST = "first"
    LAST = "last"


def class_scores(ops: Ops[V], numbers: V, activation: Activation, background: Background) -> V:
    """Return the scores `[n, N, C]` of the classes, from `numbers` `[n, N, C]`; with a background, `[n, N, C + 1]`."""
    scores = ops.cast(numbers, "float32")
    if activation is Activation.SOFTMAX:
        scores = ops.softmax(scores, 2)
    if background is Background.FIRST:
        scores = ops.slice(scores, 2, 1)
    elif background is Background.LAST:
        scores = ops.slice(scores, 2, 0, -1)
    return ops.sigmoid(scores) if activation is Activation.SIGMOID else scores


def without_background(columns: int | None, background: Background) -> int | None:
    """Return how many classes there are in so many columns."""
    return columns if columns is None or background is Background.NONE else columns - 1


def counted_from(ops: Ops[V], numbers: V, first_class: int) -> V:
    """Return class ids that count from 0, from numbers of which `first_class` is the first one's."""
    return ops.subtract(ops.cast(numbers, "int32"), ops.constant(np.array(first_class, np.int32)))


def is_background(label: str) -> bool:
    """Whether a label stands at the background's place: by a name for it, or by none."""
    return label.strip().lower() in BACKGROUND_LABELS | _PLACE_HOLDERS


def check_first_label(first_class: int, labels: Sequence[str]) -> None:
    """Hold the labels against the number that the graph gives the first class.

    Raises:
        ContractInvalid: classes count from 1, and the labels begin with the background, so that each would get its
            neighbour's.
    """
    if first_class and labels and is_background(labels[0]):
        raise ContractInvalid(
            f"output.first_class is 1, so that the graph's class 1 has the first label; class 0 of the labels is "
            f"{labels[0]!r}, the background's place: set output.first_class to 0, or begin the labels with class 1's"
        )
