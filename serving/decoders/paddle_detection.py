"""PaddleDetection with its NMS inside: finished rows of a class, a score and a box.

Source: PaddlePaddle/PaddleDetection, `ppdet/modeling/layers.py` (`MultiClassNMS`) and the heads' `post_process`, which
divides the boxes by a second input, `scale_factor` (height, width). Fed the size of the model's input by
`input.size_tensor`, with `size_order: height_width`, it makes shares of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import TENSOR, OneTensor, OneTensorRules, OutputRules, Reduced
from serving.decoders.candidates import CANDIDATES, FinishedRules, best_boxes, filled_up
from serving.decoders.ops import Ops, Shape, V


class PaddleFinishedRules(OneTensorRules, FinishedRules):
    """[M, 6]: class, score, left, top, right, bottom."""

    tensor: str | None = None
    """The name of the graph's output with the rows. Needed only where the graph has several; the other one, how many
    rows each picture has, is not read."""


class PaddleDetection(OneTensor[PaddleFinishedRules]):
    """As many rows as were found: pictures go through one by one, so that all rows are those of one picture."""

    rules_type: ClassVar[type[OutputRules]] = PaddleFinishedRules
    reduced: ClassVar[Mapping[str, Reduced]] = CANDIDATES
    batched: ClassVar[bool] = False

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.expect(TENSOR, shapes[TENSOR], ("M", 6))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        found = ops.reshape(ops.cast(outputs[TENSOR], "float32"), 1, -1, 6)
        rows = filled_up(ops, found, self.rules.candidates)
        classes, scores = (ops.reshape(ops.slice(rows, 2, at, at + 1), 0, -1) for at in (0, 1))
        return best_boxes(ops, ops.slice(rows, 2, 2, 6), scores, classes, self.rules.candidates)
