"""torchvision's detectors (Faster R-CNN, RetinaNet, FCOS, SSD): what was found in one picture, without a batch axis.

Source: pytorch/vision, `torchvision/models/detection/generalized_rcnn.py` (boxes, labels, scores of each picture).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from typing_extensions import override

from serving.decoders.base import Decoder, OutputRules, Reduced
from serving.decoders.candidates import CANDIDATES, FinishedRules, best_boxes, check_same_boxes, filled_up
from serving.decoders.class_scores import check_first_label, counted_from
from serving.decoders.ops import Ops, Shape, V


class TorchvisionRules(FinishedRules):
    """Boxes [M, 4] as left, top, right, bottom, labels [M], and scores [M]."""

    boxes: str = "boxes"
    """The name of the graph's output with the boxes."""
    labels: str = "labels"
    """The name of the graph's output with the class ids."""
    scores: str = "scores"
    """The name of the graph's output with the scores."""
    first_class: Literal[0, 1] = 1
    """The number that the graph gives the first label: 1 where 0 is the background. 0 for labels that go by the graph's
    own numbers, as torchvision's `categories` do."""

    @override
    def check_labels(self, labels: Sequence[str]) -> None:
        super().check_labels(labels)
        check_first_label(self.first_class, labels)


class Torchvision(Decoder[TorchvisionRules]):
    """As many rows as were found: pictures go through one by one."""

    rules_type: ClassVar[type[OutputRules]] = TorchvisionRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES
    batched: ClassVar[bool] = False

    @override
    def tensors(self) -> Mapping[str, str | None]:
        return {"boxes": self.rules.boxes, "labels": self.rules.labels, "scores": self.rules.scores}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        forms = {"boxes": ("M", 4), "labels": ("M",), "scores": ("M",)}
        check_same_boxes(*(self.expect(part, shapes[part], form)["M"] for part, form in forms.items()))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        count = self.rules.candidates
        boxes = filled_up(ops, ops.reshape(ops.cast(outputs["boxes"], "float32"), 1, -1, 4), count)
        scores = filled_up(ops, ops.reshape(ops.cast(outputs["scores"], "float32"), 1, -1), count)
        labels = filled_up(ops, ops.reshape(ops.cast(outputs["labels"], "int32"), 1, -1), count, "int32")
        classes = counted_from(ops, labels, self.rules.first_class)
        return best_boxes(ops, boxes, scores, classes, count)
