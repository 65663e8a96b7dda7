"""YOLOX: boxes with an objectness, measured in cells of three grids.

Source: Megvii-BaseDetection/YOLOX, `yolox/utils/demo_utils.py`, `demo_postprocess`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt
from typing_extensions import override

from serving.decoders.base import TENSOR, OutputRules
from serving.decoders.ops import Ops, Shape, V
from serving.decoders.yolov5 import YoloV5, YoloV5Rules
from serving.errors import ContractInvalid


class YoloXRules(YoloV5Rules):
    """[n, N, 5 + classes]: centre and size in cells of the grid (the size as a logarithm), objectness, class scores."""

    decoded: bool = False
    """Whether the graph gives centres and sizes in pixels already, as an export with `--decode_in_inference` does."""
    strides: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (8, 16, 32)
    """The pixels that a cell of each grid is high and wide, in the order of the rows; P6 models have a fourth, 64."""


class YoloX(YoloV5):
    """YOLOv5's rows, once cells are pixels."""

    rules_type: ClassVar[type[OutputRules]] = YoloXRules
    rules: YoloXRules

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        super().check(shapes)
        if self.rules.decoded:
            return
        if self.size is None:
            raise ContractInvalid(
                "output.decoder 'yolox' needs an input of one size for its grids: take a resize.rule that gives one, "
                "or export with --decode_in_inference and set output.decoded to true"
            )
        height, width = self.size
        if any(side % stride for side in self.size for stride in self.rules.strides):
            raise ContractInvalid(
                f"the input's {height}x{width} are no multiples of output.strides, {list(self.rules.strides)}"
            )
        cells = sum((height // stride) * (width // stride) for stride in self.rules.strides)
        rows = shapes[TENSOR][1]
        if rows not in (None, cells):
            raise ContractInvalid(
                f"an input of {height}x{width} has {cells} cells with output.strides {list(self.rules.strides)}; the "
                f"graph's output has {rows} rows"
            )

    @override
    def boxes(self, ops: Ops[V], rows: V) -> V:
        numbers = super().boxes(ops, rows)
        if self.rules.decoded or self.size is None:
            return numbers
        grids = _grids(*self.size, self.rules.strides)[None]
        corners, strides = ops.constant(grids[:, :, :2]), ops.constant(grids[:, :, 2:])
        centres = ops.multiply(ops.add(ops.slice(numbers, 2, 0, 2), corners), strides)
        return ops.concat([centres, ops.multiply(ops.exp(ops.slice(numbers, 2, 2, 4)), strides)], 2)


@cache
def _grids(height: int, width: int, strides: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return each cell's column, row and stride: [cells, 3]."""
    grids = []
    for stride in strides:
        row, column = np.mgrid[: height // stride, : width // stride]
        grids.append(np.stack([column, row, np.full_like(row, stride)], axis=-1).reshape(-1, 3))
    return np.concatenate(grids).astype(np.float32)
