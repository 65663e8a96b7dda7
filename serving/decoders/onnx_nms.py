"""Graphs that end in ONNX's `NonMaxSuppression`: all boxes, all scores, and which of them it chose.

Source: the operator's page (`selected_indices` [M, 3]: picture, class, box), and the YOLOv3 and Tiny YOLOv3 of ONNX's
model zoo, which give [1, M, 3] filled up with rows of -1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import Decoder, OutputRules, Reduced
from serving.decoders.candidates import (
    BOXES,
    CANDIDATES,
    BoxFormat,
    FinishedRules,
    best_boxes,
    check_same_boxes,
    filled_up,
    to_corners,
)
from serving.decoders.ops import Ops, Shape, V, number


class OnnxNmsRules(FinishedRules):
    """Boxes [1, N, 4], scores [1, classes, N], and selected indices [M, 3] or [1, M, 3]."""

    boxes: str = "boxes"
    """The name of the graph's output with all boxes."""
    scores: str = "scores"
    """The name of the graph's output with all scores."""
    selected_indices: str = "selected_indices"
    """The name of the graph's output with the rows of picture, class and box that were chosen; of -1 where they only
    fill up."""
    box_format: BoxFormat = BoxFormat.CORNERS_YX
    """The four numbers of a box."""


class OnnxNms(Decoder[OnnxNmsRules]):
    """As many rows as were chosen: pictures go through one by one."""

    rules_type: ClassVar[type[OutputRules]] = OnnxNmsRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES
    batched: ClassVar[bool] = False

    @override
    def tensors(self) -> Mapping[str, str | None]:
        rules = self.rules
        return {"boxes": rules.boxes, "scores": rules.scores, "selected_indices": rules.selected_indices}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        boxes = self.expect("boxes", shapes["boxes"], ("n", "N", 4))
        scores = self.expect("scores", shapes["scores"], ("n", "classes", "N"))
        check_same_boxes(boxes["N"], scores["N"])
        self.check_classes(scores["classes"])
        self.expect("selected_indices", shapes["selected_indices"], ("M", 3), (1, "M", 3))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        count = self.rules.candidates
        boxes, scores = ops.cast(outputs["boxes"], "float32"), ops.cast(outputs["scores"], "float32")
        selected = ops.reshape(ops.cast(outputs["selected_indices"], "int64"), 1, -1, 3)
        selected = filled_up(ops, selected, count, "int64")
        picture, class_ids, places = (ops.reshape(ops.slice(selected, 2, at, at + 1), 1, -1) for at in range(3))
        # All are of picture 0, but for those of picture -1, which only fill up; they get the first box's place, and no
        # score.
        real = ops.add(picture, number(ops, 1))
        class_ids, places = ops.multiply(class_ids, real), ops.multiply(places, real)
        pairs = ops.add(ops.multiply(class_ids, ops.size(scores, 2)), places)
        chosen = ops.reshape(ops.rows(ops.reshape(scores, 1, -1, 1), pairs), 1, -1)
        share = ops.cast(real, "float32")
        chosen = ops.add(ops.multiply(chosen, share), ops.subtract(share, number(ops, 1.0)))
        best = best_boxes(ops, ops.rows(ops.reshape(boxes, 0, -1, 4), places), chosen, class_ids, count)
        return best | {BOXES: to_corners(ops, best[BOXES], self.rules.box_format)}
