"""TensorFlow's detection API: four outputs, of which the first rows of each picture count.

Source: tensorflow/models, `research/object_detection/exporter_main_v2.py` and its exporter's docstring; converted by
tf2onnx, which keeps the names. TensorRT's EfficientNMS gives the same four, as `num_dets`, `det_boxes`, `det_scores`
and `det_classes`, with `box_format: corners`, `box_unit: pixels` and `first_class: 0`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from serving.decoders.base import Decoder, OutputRules, Reduced
from serving.decoders.candidates import (
    BOXES,
    CANDIDATES,
    BoxFormat,
    BoxUnit,
    FinishedRules,
    best_boxes,
    check_same_boxes,
    to_corners,
)
from serving.decoders.class_scores import check_first_label, counted_from
from serving.decoders.ops import NotCompilable, Ops, Shape, V, number


class TensorFlowRules(FinishedRules):
    """Boxes [n, N, 4] as top, left, bottom, right, scores [n, N], classes [n, N], and how many count, [n]."""

    boxes: str = "detection_boxes"
    """The name of the graph's output with the boxes."""
    scores: str = "detection_scores"
    """The name of the graph's output with the scores."""
    classes: str = "detection_classes"
    """The name of the graph's output with the classes."""
    num_detections: str | None = "num_detections"
    """The name of the graph's output that says how many rows of a picture count; `null` where all do."""
    box_format: BoxFormat = BoxFormat.CORNERS_YX
    """The four numbers of a box."""
    box_unit: BoxUnit = BoxUnit.NORMALIZED
    """What the boxes are measured in: `pixels` of the model's input, or `normalized`: shares of its sides, 0..1."""
    first_class: Literal[0, 1] = 1
    """The number that the graph gives the first label: 1 where 0 is the background. 0 for labels that go by the graph's
    own numbers."""

    @override
    def check_labels(self, labels: Sequence[str]) -> None:
        super().check_labels(labels)
        check_first_label(self.first_class, labels)


class TensorFlow(Decoder[TensorFlowRules]):
    """Rows beyond `num_detections` only fill up."""

    rules_type: ClassVar[type[OutputRules]] = TensorFlowRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES

    @override
    def tensors(self) -> Mapping[str, str | None]:
        rules = self.rules
        found = {"boxes": rules.boxes, "scores": rules.scores, "classes": rules.classes}
        return found if rules.num_detections is None else found | {"num_detections": rules.num_detections}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        forms = {"boxes": ("n", "N", 4), "scores": ("n", "N"), "classes": ("n", "N")}
        counts = {self.expect(part, shapes[part], form)["N"] for part, form in forms.items()}
        check_same_boxes(*counts)
        if "num_detections" in shapes:
            self.expect("num_detections", shapes["num_detections"], ("n",), ("n", 1))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        scores = ops.cast(outputs["scores"], "float32")
        if "num_detections" in outputs:
            scores = _only_first(ops, scores, outputs["num_detections"])
        classes = counted_from(ops, outputs["classes"], self.rules.first_class)
        boxes = ops.cast(outputs["boxes"], "float32")
        best = best_boxes(ops, boxes, scores, classes, self.rules.candidates)
        return best | {BOXES: to_corners(ops, best[BOXES], self.rules.box_format)}


def _only_first(ops: Ops[V], scores: V, counts: V) -> V:
    """Make the scores `[n, N]` negative from the `counts` `[n]` on."""
    columns = ops.shape(scores)[1]
    if columns is None:
        raise NotCompilable("how many boxes the graph gives is not known")
    places = ops.constant(np.arange(columns, dtype=np.float32)[None])
    left = ops.subtract(ops.reshape(ops.cast(counts, "float32"), -1, 1), places)
    counted = ops.clip(left, 0, 1)  # whole numbers: 1 for the first rows, 0 from then on
    return ops.add(ops.multiply(scores, counted), ops.subtract(counted, number(ops, 1.0)))
