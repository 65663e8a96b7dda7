"""SSD and its kin: boxes in one output, and a column for each class in another.

Source: the raw outputs of TensorFlow's detection API (`raw_detection_boxes`, `raw_detection_scores`); the exports of
Tianxiaomo/pytorch-YOLOv4 (`boxes` [n, N, 1, 4], `confs`), which take `box_format: corners` and `background: none`.
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
    BoxUnit,
    DetectionRules,
    best_boxes,
    best_pairs,
    check_same_boxes,
    to_corners,
)
from serving.decoders.class_scores import Activation, Background, class_scores, without_background
from serving.decoders.ops import Ops, Shape, V


class SsdRules(DetectionRules):
    """Boxes [n, N, 4] or [n, N, 1, 4], decoded from their anchors, and numbers of the classes, [n, N, columns]."""

    boxes: str = "boxes"
    """The name of the graph's output with the boxes."""
    scores: str = "scores"
    """The name of the graph's output with the classes' numbers."""
    transposed: bool = False
    """Whether these numbers are [n, columns, N], as PaddleDetection has them."""
    box_format: BoxFormat = BoxFormat.CORNERS_YX
    """The four numbers of a box."""
    box_unit: BoxUnit = BoxUnit.NORMALIZED
    """What the boxes are measured in: `pixels` of the model's input, or `normalized`: shares of its sides, 0..1."""
    activation: Activation = Activation.NONE
    """What makes scores of the numbers: `none` where they are scores, `softmax`, or `sigmoid`."""
    background: Background = Background.FIRST
    """Which column stands for no object: `first`, `last`, or `none`. Class ids count from 0 without it."""
    multi_label: bool = True
    """Whether one box may be found as several classes; if not, it is its best one only."""


class Ssd(Decoder[SsdRules]):
    """Each class of each box is a candidate of its own."""

    rules_type: ClassVar[type[OutputRules]] = SsdRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES

    @override
    def tensors(self) -> Mapping[str, str | None]:
        return {"boxes": self.rules.boxes, "scores": self.rules.scores}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        boxes = self.expect("boxes", shapes["boxes"], ("n", "N", 4), ("n", "N", 1, 4))
        form = ("n", "classes", "N") if self.rules.transposed else ("n", "N", "classes")
        scores = self.expect("scores", shapes["scores"], form)
        check_same_boxes(boxes["N"], scores["N"])
        self.check_classes(without_background(scores["classes"], self.rules.background))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        rules = self.rules
        boxes = ops.reshape(ops.cast(outputs["boxes"], "float32"), 0, -1, 4)
        numbers = ops.transpose(outputs["scores"], 0, 2, 1) if rules.transposed else outputs["scores"]
        scores = class_scores(ops, numbers, rules.activation, rules.background)
        if rules.multi_label:
            best = best_pairs(ops, boxes, scores, rules.candidates)
        else:
            best = best_boxes(ops, boxes, ops.max(scores, 2), ops.argmax(scores, 2), rules.candidates)
        return best | {BOXES: to_corners(ops, best[BOXES], rules.box_format)}
