"""YOLOv8, YOLOv9, YOLO11 and YOLO12: boxes with a score for each class, and no objectness.

Source: the exports of ultralytics/ultralytics (`Detect`, one output `output0`) and of WongKinYiu/yolov9.
PaddleDetection's PP-YOLOE with `exclude_post_process=True` gives the same with `transposed: true` and
`box_format: corners`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import TENSOR, OneTensor, OneTensorRules, OutputRules, Reduced
from serving.decoders.candidates import BOXES, CANDIDATES, BoxFormat, DetectionRules, best_boxes, to_corners
from serving.decoders.ops import Ops, Shape, V
from serving.errors import ContractInvalid


class YoloV8Rules(OneTensorRules, DetectionRules):
    """[n, 4 + classes, N]: rows of centre x, centre y, width, height, and of each class's scores, 0..1."""

    box_format: BoxFormat = BoxFormat.CENTER
    """The four numbers of a box."""
    transposed: bool = False
    """Whether the output is [n, N, 4 + classes]."""


class YoloV8(OneTensor[YoloV8Rules]):
    """A box's score is that of its best class."""

    rules_type: ClassVar[type[OutputRules]] = YoloV8Rules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        form = ("n", "N", "4 + classes") if self.rules.transposed else ("n", "4 + classes", "N")
        sizes = self.expect(TENSOR, shapes[TENSOR], form)
        columns, boxes = sizes["4 + classes"], sizes["N"]
        if self._looks_turned(columns, boxes):
            raise ContractInvalid(
                f"output.decoder 'yolov8' reads [{', '.join(form)}]; the graph's {list(shapes[TENSOR])} looks turned: "
                f"set output.transposed to {str(not self.rules.transposed).lower()}"
            )
        if self.labels and columns == 5 + self.labels:
            raise ContractInvalid(
                f"the contract has {self.labels} labels; the graph's {columns} columns are an objectness more than the "
                "4 of the box and one for each label: set output.decoder to yolov5"
            )
        self.check_columns(columns, 4)

    def _looks_turned(self, columns: int | None, boxes: int | None) -> bool:
        """Whether the axes are those of the other layout: by the labels, or, without any, because boxes are many."""
        if columns is None or boxes is None:
            return False
        if self.labels:
            return columns != 4 + self.labels == boxes
        return columns > boxes

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        numbers = ops.cast(outputs[TENSOR], "float32")
        axis = 2 if self.rules.transposed else 1
        boxes, classes = ops.slice(numbers, axis, 0, 4), ops.slice(numbers, axis, 4)
        if not self.rules.transposed:
            boxes = ops.transpose(boxes, 0, 2, 1)
        best = best_boxes(ops, boxes, ops.max(classes, axis), ops.argmax(classes, axis), self.rules.candidates)
        return best | {BOXES: to_corners(ops, best[BOXES], self.rules.box_format)}
