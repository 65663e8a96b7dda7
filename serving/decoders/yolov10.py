"""YOLOv10, YOLO26, and every Ultralytics export with `nms=True`: finished boxes.

Source: ultralytics/ultralytics, `Detect.postprocess` (`[x1, y1, x2, y2, score, class]`, 300 rows) and `NMSModel`, which
fills up with rows of zeros; THU-MIG/yolov10. Its RT-DETR (`RTDETRDecoder`, from 8.4 on) gives the same columns with
`box_format: center` and `box_unit: normalized`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import TENSOR, OneTensor, OneTensorRules, OutputRules, Reduced
from serving.decoders.candidates import BOXES, CANDIDATES, BoxFormat, FinishedRules, best_boxes, to_corners
from serving.decoders.ops import Ops, Shape, V


class YoloV10Rules(OneTensorRules, FinishedRules):
    """[n, N, 6]: left, top, right, bottom, score, class."""

    box_format: BoxFormat = BoxFormat.CORNERS
    """The four numbers of a box."""


class YoloV10(OneTensor[YoloV10Rules]):
    """The graph has chosen already; a rule of `nms` chooses once more."""

    rules_type: ClassVar[type[OutputRules]] = YoloV10Rules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.expect(TENSOR, shapes[TENSOR], ("n", "N", 6))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        rows = ops.cast(outputs[TENSOR], "float32")
        scores = ops.reshape(ops.slice(rows, 2, 4, 5), 0, -1)
        classes = ops.reshape(ops.slice(rows, 2, 5, 6), 0, -1)
        best = best_boxes(ops, ops.slice(rows, 2, 0, 4), scores, classes, self.rules.candidates)
        return best | {BOXES: to_corners(ops, best[BOXES], self.rules.box_format)}
