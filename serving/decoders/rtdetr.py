"""RT-DETR and D-FINE as their own repositories export them: finished labels, boxes and scores.

Source: lyuwenyu/RT-DETR, `tools/export_onnx.py` and `RTDETRPostProcessor` (deploy mode), which D-FINE and DEIM share.
The graph has a second input, `orig_target_sizes`: see `input.size_tensor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import Decoder, OutputRules, Reduced
from serving.decoders.candidates import CANDIDATES, DetectionRules, Nms, best_boxes, check_same_boxes
from serving.decoders.ops import Ops, Shape, V


class RtDetrRules(DetectionRules):
    """Class ids [n, N], boxes [n, N, 4] as left, top, right, bottom, and scores [n, N]."""

    labels: str = "labels"
    """The name of the graph's output with the class ids."""
    boxes: str = "boxes"
    """The name of the graph's output with the boxes."""
    scores: str = "scores"
    """The name of the graph's output with the scores."""
    nms: Nms | None = None
    """How boxes that overlap are thinned out; `null`, the default, since these models do not repeat themselves."""


class RtDetr(Decoder[RtDetrRules]):
    """The graph has chosen already."""

    rules_type: ClassVar[type[OutputRules]] = RtDetrRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES

    @override
    def tensors(self) -> Mapping[str, str | None]:
        return {"labels": self.rules.labels, "boxes": self.rules.boxes, "scores": self.rules.scores}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        forms = {"labels": ("n", "N"), "boxes": ("n", "N", 4), "scores": ("n", "N")}
        check_same_boxes(*(self.expect(part, shapes[part], form)["N"] for part, form in forms.items()))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        boxes, scores = ops.cast(outputs["boxes"], "float32"), ops.cast(outputs["scores"], "float32")
        return best_boxes(ops, boxes, scores, outputs["labels"], self.rules.candidates)
