"""YOLOv7 with `--end2end --max-wh`: the finished boxes of all pictures, one below the other.

Source: WongKinYiu/yolov7, `models/experimental.py`, `ONNX_ORT`. super-gradients' YOLO-NAS in the flat format
(`DetectionOutputFormatMode.FLAT_FORMAT`) gives the same with `score_first: true`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import TENSOR, OneTensor, OneTensorRules, OutputRules, Reduced
from serving.decoders.candidates import CANDIDATES, FinishedRules, best_boxes, filled_up
from serving.decoders.ops import Ops, Shape, V


class YoloV7End2EndRules(OneTensorRules, FinishedRules):
    """[M, 7]: number of the picture, left, top, right, bottom, class, score."""

    score_first: bool = False
    """Whether the score stands before the class, as super-gradients has it."""


class YoloV7End2End(OneTensor[YoloV7End2EndRules]):
    """As many rows as were found: pictures go through one by one, so that all rows are those of one picture."""

    rules_type: ClassVar[type[OutputRules]] = YoloV7End2EndRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES
    batched: ClassVar[bool] = False

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.expect(TENSOR, shapes[TENSOR], ("M", 7))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        found = ops.reshape(ops.cast(outputs[TENSOR], "float32"), 1, -1, 7)
        rows = filled_up(ops, found, self.rules.candidates)
        fifth, sixth = (ops.reshape(ops.slice(rows, 2, at, at + 1), 0, -1) for at in (5, 6))
        scores, classes = (fifth, sixth) if self.rules.score_first else (sixth, fifth)
        return best_boxes(ops, ops.slice(rows, 2, 1, 5), scores, classes, self.rules.candidates)
