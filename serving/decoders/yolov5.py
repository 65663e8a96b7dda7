"""YOLOv3, YOLOv4, YOLOv5 and YOLOv7: boxes with an objectness, and a score for each class.

Source: the exports of ultralytics/yolov5 and of WongKinYiu/yolov7 (`--grid`), and Darknet's `yolo` layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import TENSOR, OneTensor, OneTensorRules, OutputRules, Reduced
from serving.decoders.candidates import BOXES, CANDIDATES, BoxFormat, DetectionRules, best_boxes, to_corners
from serving.decoders.ops import Ops, Shape, V
from serving.errors import ContractInvalid


class YoloV5Rules(OneTensorRules, DetectionRules):
    """[n, N, 5 + classes]: the box's centre and size, its objectness, the class scores, all in 0..1 but the box."""


class YoloV5(OneTensor[YoloV5Rules]):
    """A box's score is its objectness times that of its best class."""

    rules_type: ClassVar[type[OutputRules]] = YoloV5Rules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        sizes = self.expect(TENSOR, shapes[TENSOR], ("n", "N", "5 + classes"))
        columns, boxes = sizes["5 + classes"], sizes["N"]
        if columns is not None and boxes is not None and boxes < columns != 5 + self.labels:
            raise ContractInvalid(
                f"output.decoder {self.rules.decoder!r} reads [n, N, 5 + classes]; the graph's {list(shapes[TENSOR])} "
                "looks turned: if it has no objectness, set output.decoder to yolov8"
            )
        if self.labels and columns == 4 + self.labels:
            raise ContractInvalid(
                f"the contract has {self.labels} labels; the graph's {columns} columns are the 4 of the box and one "
                "for each label, without an objectness: set output.decoder to yolov8, and output.transposed to true"
            )
        self.check_columns(columns, 5)

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        rows = ops.cast(outputs[TENSOR], "float32")
        objectness = ops.reshape(ops.slice(rows, 2, 4, 5), 0, -1)
        classes = ops.slice(rows, 2, 5)
        scores = ops.multiply(objectness, ops.max(classes, 2))
        best = best_boxes(ops, self.boxes(ops, rows), scores, ops.argmax(classes, 2), self.rules.candidates)
        return best | {BOXES: to_corners(ops, best[BOXES], BoxFormat.CENTER)}

    def boxes(self, ops: Ops[V], rows: V) -> V:
        """Return the boxes of all rows, [n, N, 4], centre and size."""
        return ops.slice(rows, 2, 0, 4)
