"""DETR and what came of it: queries with logits, and a box each.

Source: Hugging Face's `post_process_object_detection` of `DetrImageProcessor` (softmax, the last column is no object),
and of `DeformableDetrImageProcessor` and `RTDetrImageProcessor` (sigmoid, the best pairs of query and class), which
D-FINE and RF-DETR share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from typing_extensions import override

from serving.decoders.base import Decoder, OutputRules, Reduced
from serving.decoders.candidates import (
    BOXES,
    CANDIDATES,
    BoxFormat,
    BoxUnit,
    DetectionRules,
    Nms,
    best_boxes,
    best_pairs,
    check_same_boxes,
    to_corners,
)
from serving.decoders.class_scores import Activation, Background, class_scores, without_background
from serving.decoders.ops import Ops, Shape, V


class DetrRules(DetectionRules):
    """Logits [n, queries, columns], and boxes [n, queries, 4] as centre and size."""

    logits: str = "logits"
    """The name of the graph's output with the logits."""
    boxes: str = "pred_boxes"
    """The name of the graph's output with the boxes."""
    activation: Literal[Activation.SOFTMAX, Activation.SIGMOID] = Activation.SOFTMAX
    """`softmax` for DETR and YOLOS; `sigmoid` for Conditional DETR, Deformable DETR, RT-DETR, D-FINE and RF-DETR."""
    background: Background | None = None
    """Which column stands for no object: `first`, `last`, or `none`. By default the last with `softmax`, and none with
    `sigmoid`. Class ids count from 0 without it."""
    box_unit: BoxUnit = BoxUnit.NORMALIZED
    """What the boxes are measured in: `pixels` of the model's input, or `normalized`: shares of its sides, 0..1."""
    nms: Nms | None = None
    """How boxes that overlap are thinned out; `null`, the default, since these models do not repeat themselves."""


class Detr(Decoder[DetrRules]):
    """With softmax each query is its best class; with sigmoid each class of each query is a candidate of its own."""

    rules_type: ClassVar[type[OutputRules]] = DetrRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES

    @property
    def background(self) -> Background:
        """The column of no object."""
        if self.rules.background is not None:
            return self.rules.background
        return Background.LAST if self.rules.activation is Activation.SOFTMAX else Background.NONE

    @override
    def tensors(self) -> Mapping[str, str | None]:
        return {"logits": self.rules.logits, "boxes": self.rules.boxes}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        logits = self.expect("logits", shapes["logits"], ("n", "queries", "classes"))
        boxes = self.expect("boxes", shapes["boxes"], ("n", "queries", 4))
        check_same_boxes(logits["queries"], boxes["queries"])
        self.check_classes(without_background(logits["classes"], self.background))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        rules = self.rules
        boxes = ops.cast(outputs["boxes"], "float32")
        scores = class_scores(ops, outputs["logits"], rules.activation, self.background)
        if rules.activation is Activation.SIGMOID:
            best = best_pairs(ops, boxes, scores, rules.candidates)
        else:
            best = best_boxes(ops, boxes, ops.max(scores, 2), ops.argmax(scores, 2), rules.candidates)
        return best | {BOXES: to_corners(ops, best[BOXES], BoxFormat.CENTER)}
