"""MMDeploy's detectors: finished boxes with their scores in one output, and class ids in another.

Source: open-mmlab/mmdeploy, `mmdeploy/mmcv/ops/nms.py` (`multiclass_nms`: dets [n, N, 5], labels [n, N], filled up with
zeros), which all of MMDetection's dense heads end in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import Decoder, OutputRules, Reduced
from serving.decoders.candidates import CANDIDATES, FinishedRules, best_boxes, check_same_boxes
from serving.decoders.ops import Ops, Shape, V


class MmDeployRules(FinishedRules):
    """Boxes [n, N, 5] as left, top, right, bottom, score, and class ids [n, N]."""

    boxes: str = "dets"
    """The name of the graph's output with the boxes and their scores."""
    labels: str = "labels"
    """The name of the graph's output with the class ids."""


class MmDeploy(Decoder[MmDeployRules]):
    """The graph has chosen already."""

    rules_type: ClassVar[type[OutputRules]] = MmDeployRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES

    @override
    def tensors(self) -> Mapping[str, str | None]:
        return {"boxes": self.rules.boxes, "labels": self.rules.labels}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        forms = {"boxes": ("n", "N", 5), "labels": ("n", "N")}
        check_same_boxes(*(self.expect(part, shapes[part], form)["N"] for part, form in forms.items()))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        rows = ops.cast(outputs["boxes"], "float32")
        scores = ops.reshape(ops.slice(rows, 2, 4, 5), 0, -1)
        return best_boxes(ops, ops.slice(rows, 2, 0, 4), scores, outputs["labels"], self.rules.candidates)
