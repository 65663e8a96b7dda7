"""What detectors come to: a few hundred candidates with a box, a score and a class, best first."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from serving.decoders.base import OutputRules, Reduced
from serving.decoders.ops import DTYPES, Ops, V, number
from serving.errors import ContractInvalid
from serving.section import Section

BOXES: Final = "candidate_boxes"
"""FP32 [n, K, 4]: left, top, right, bottom in the unit of `box_unit`."""
SCORES: Final = "candidate_scores"
"""FP32 [n, K], the largest first; negative for rows that only fill up."""
CLASSES: Final = "candidate_classes"
"""INT32 [n, K]."""
CANDIDATES: Final = {
    BOXES: Reduced("FP32", ("n", "K", 4)),
    SCORES: Reduced("FP32", ("n", "K")),
    CLASSES: Reduced("INT32", ("n", "K")),
}

MAX_CANDIDATES: Final = 1000
"""The most candidates of one picture: 24 KB on the wire."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class BoxFormat(StrEnum):
    """The four numbers of a box."""

    CORNERS = "corners"
    """left, top, right, bottom"""
    CORNERS_YX = "corners_yx"
    """top, left, bottom, right, as TensorFlow has them"""
    CENTER = "center"
    """centre x, centre y, width, height"""
    CORNER_SIZE = "corner_size"
    """left, top, width, height, as COCO has them"""


class BoxUnit(StrEnum):
    """What a box is measured in."""

    PIXELS = "pixels"
    """pixels of the model's input"""
    NORMALIZED = "normalized"
    """shares, 0..1, of the model's input"""


class Nms(Section):
    """Non-maximum suppression: of boxes that overlap, the best stays."""

    iou_threshold: Share = 0.45
    """Boxes that overlap a better one by more than this (intersection over union) are left out."""
    class_agnostic: bool = False
    """Whether a box also gives way to a better one of another class."""


class DetectionRules(OutputRules):
    """What all detectors have in common."""

    adjustable: ClassVar[frozenset[str]] = frozenset(
        {"confidence_threshold", "class_thresholds", "max_detections", "candidates", "nms"}
    )

    box_unit: BoxUnit = BoxUnit.PIXELS
    """What the boxes are measured in: `pixels` of the model's input, or `normalized`: shares of its sides, 0..1."""
    confidence_threshold: Share = 0.25
    """Boxes with a smaller score are left out of the answer."""
    class_thresholds: dict[str, Share] = Field(default_factory=dict)
    """Thresholds of single classes, by their labels, in place of `confidence_threshold`."""
    max_detections: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = 100
    """The most boxes of one answer, best first."""
    candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = MAX_CANDIDATES
    """How many of the best boxes leave the graph, before those that overlap are left out."""
    nms: Nms | None = Nms()
    """How boxes that overlap are thinned out; `null` for graphs that have done so."""

    @model_validator(mode="after")
    def _enough_candidates(self) -> Self:
        if "max_detections" in self.model_fields_set and self.max_detections > self.candidates:
            raise ValueError(
                f"max_detections is {self.max_detections}, and only {self.candidates} candidates leave the graph: give "
                f"at least as many"
            )
        return self

    @override
    def check_labels(self, labels: Sequence[str]) -> None:
        for label in self.class_thresholds:
            if label not in labels:
                raise ContractInvalid(
                    f"output.class_thresholds has {label!r}, which is none of the labels"
                    if labels
                    else "output.class_thresholds goes by labels, and the contract has none"
                )


class FinishedRules(DetectionRules):
    """The rules of detectors whose graphs have chosen among their boxes."""

    nms: Nms | None = None
    """How boxes that overlap are thinned out; `null`, the default, since these graphs have done so."""


def check_same_boxes(*counts: int | None) -> None:
    """Hold against each other how many boxes several outputs have; None is not known.

    Raises:
        ContractInvalid: they differ.
    """
    known = [count for count in counts if count is not None]
    if len(set(known)) > 1:
        raise ContractInvalid(
            f"the graph's outputs have {', '.join(map(str, known[:-1]))} and {known[-1]} boxes: those that belong "
            "together have as many"
        )


def filled_up(ops: Ops[V], value: V, count: int, dtype: str = "float32") -> V:
    """Return `[1, M, ...]` of the type `dtype` with `count` rows of -1 behind its own, so that there are enough.

    The last axis must be known.
    """
    rest = [size for size in ops.shape(value)[2:] if size is not None]
    return ops.concat([value, ops.constant(np.full((1, count, *rest), -1, DTYPES[dtype]))], 1)


def best_boxes(ops: Ops[V], boxes: V, scores: V, classes: V, count: int) -> dict[str, V]:
    """Return the `count` best of `boxes` `[n, N, 4]` with one score and one class each, `[n, N]`, in the same format.

    The class is the best one of its box.
    """
    best, places = ops.top(scores, count)
    column = ops.reshape(ops.cast(classes, "int32"), 0, -1, 1)
    return {
        BOXES: ops.rows(_fours(ops, boxes), places),
        SCORES: best,
        CLASSES: ops.reshape(ops.rows(column, places), 0, -1),
    }


def best_pairs(ops: Ops[V], boxes: V, scores: V, count: int) -> dict[str, V]:
    """Return the `count` best pairs of a box of `[n, N, 4]` and a class of `scores` `[n, N, C]`.

    A box may come several times, with another class each time.
    """
    classes = ops.size(scores, 2)
    best, places = ops.top(ops.reshape(scores, 0, -1), count)
    rows = ops.divide(places, classes)
    numbers = ops.subtract(places, ops.multiply(rows, classes))
    return {BOXES: ops.rows(_fours(ops, boxes), rows), SCORES: best, CLASSES: ops.cast(numbers, "int32")}


def _fours(ops: Ops[V], boxes: V) -> V:
    """Return boxes whose width is known: where a graph's file does not tell it, they have the four numbers alone."""
    return ops.reshape(boxes, 0, -1, 4) if ops.shape(boxes)[2] is None else boxes


def to_corners(ops: Ops[V], boxes: V, box_format: BoxFormat) -> V:
    """Return boxes `[n, K, 4]` as left, top, right, bottom."""
    first, second = ops.slice(boxes, 2, 0, 2), ops.slice(boxes, 2, 2, 4)
    match box_format:
        case BoxFormat.CORNERS:
            return boxes
        case BoxFormat.CORNERS_YX:
            columns = [ops.slice(boxes, 2, at, at + 1) for at in (1, 0, 3, 2)]
            return ops.concat(columns, 2)
        case BoxFormat.CENTER:
            half = ops.multiply(second, number(ops, 0.5))
            return ops.concat([ops.subtract(first, half), ops.add(first, half)], 2)
        case BoxFormat.CORNER_SIZE:
            return ops.concat([first, ops.add(first, second)], 2)
