"""Instance segmenters of the YOLO family: boxes, each with coefficients that mix its mask of common prototypes.

Source: the exports of ultralytics (`Segment`, `Segment26`, `NMSModel`) and ultralytics/yolov5 (`models/yolo.py`,
`Segment`), after YOLACT (Bolya et al. 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import Field
from typing_extensions import override

from serving.decoders.base import TENSOR, Decoder, OutputRules, Reduced
from serving.decoders.candidates import (
    BOXES,
    CANDIDATES,
    BoxFormat,
    DetectionRules,
    FinishedRules,
    Share,
    best_boxes,
    to_corners,
)
from serving.decoders.ops import NotCompilable, Ops, Shape, V
from serving.errors import ContractInvalid

COEFFICIENTS: Final = "candidate_coefficients"
"""FP32 [n, K, M]: the share of each prototype in a candidate's mask."""
PROTOTYPES: Final = "prototypes"
"""FP16 [n, M, h, w], over the model's input; half as many bytes as FP32, and a mask's edge moves by thousandths of a
pixel. A mask is the sigmoid of its coefficients times these."""

_LARGEST_HALF: Final = 65504.0


class InstanceRules(DetectionRules):
    """The rows of a detector, with the coefficients of the masks behind the class scores, and the prototypes."""

    adjustable: ClassVar[frozenset[str]] = DetectionRules.adjustable | {"mask_threshold"}

    tensor: str
    """The name of the output with the boxes, `output0` in Ultralytics' exports."""
    prototypes: str
    """The name of the output with the prototypes, [n, M, h, w], `output1` in Ultralytics' exports."""
    mask_threshold: Annotated[Share, Field(gt=0, lt=1)] = 0.5
    """From which value of the sigmoid on a pixel is of a mask."""


class FinishedInstanceRules(FinishedRules, InstanceRules):
    """Finished boxes, with the coefficients of the masks behind score and class, and the prototypes."""


class _Instances(Decoder[InstanceRules]):
    """What they have in common: all but the order of the columns."""

    rules_type: ClassVar[type[OutputRules]] = InstanceRules
    reduced: ClassVar[Mapping[str, Reduced]] = {
        **CANDIDATES,
        COEFFICIENTS: Reduced("FP32", ("n", "K", "masks")),
        PROTOTYPES: Reduced("FP16", ("n", "masks", "h", "w")),
    }
    _columns: ClassVar[str]
    _form: ClassVar[tuple[str, ...]]
    _before_classes: ClassVar[int]
    _box_format: ClassVar[BoxFormat] = BoxFormat.CENTER

    @override
    def tensors(self) -> Mapping[str, str | None]:
        return {TENSOR: self.rules.tensor, PROTOTYPES: self.rules.prototypes}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        columns = self.expect(TENSOR, shapes[TENSOR], self._form)[self._columns]
        masks = self.expect(PROTOTYPES, shapes[PROTOTYPES], ("n", "M", "h", "w"))["M"]
        if masks == 0:
            raise ContractInvalid(f"the graph's output {self.rules.prototypes!r} has no prototypes")
        if masks is not None:
            self.check_row(columns, masks)

    def check_row(self, columns: int | None, masks: int) -> None:
        """Hold how many numbers a row has against how many prototypes there are.

        Raises:
            ContractInvalid: they do not fit, or leave another number of classes than there are labels.
        """
        self.check_columns(columns, self._before_classes + masks)

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        prototypes = ops.cast(outputs[PROTOTYPES], "float32")
        masks = ops.shape(prototypes)[1]
        if masks is None:
            raise NotCompilable("how many prototypes the graph has is not known")
        boxes, scores, classes, coefficients = self.columns(ops, ops.cast(outputs[TENSOR], "float32"), masks)
        # The coefficients travel as further columns of the boxes.
        best = best_boxes(ops, ops.concat([boxes, coefficients], 2), scores, classes, self.rules.candidates)
        rows = best[BOXES]
        return best | {
            BOXES: to_corners(ops, ops.slice(rows, 2, 0, 4), self._box_format),
            COEFFICIENTS: ops.slice(rows, 2, 4),
            PROTOTYPES: ops.cast(ops.clip(prototypes, -_LARGEST_HALF, _LARGEST_HALF), "float16"),
        }

    def columns(self, ops: Ops[V], value: V, masks: int) -> tuple[V, V, V, V]:
        """Return boxes `[n, N, 4]`, scores and classes `[n, N]`, and coefficients `[n, N, masks]`."""
        raise NotImplementedError


class YoloV8Seg(_Instances):
    """[n, 4 + classes + M, N]: centre, size, class scores, coefficients; YOLO11 and YOLO12 too."""

    _columns: ClassVar[str] = "4 + classes + M"
    _form: ClassVar[tuple[str, ...]] = ("n", _columns, "N")
    _before_classes: ClassVar[int] = 4

    @override
    def columns(self, ops: Ops[V], value: V, masks: int) -> tuple[V, V, V, V]:
        classes = ops.slice(value, 1, 4, -masks)
        boxes, coefficients = (
            ops.transpose(part, 0, 2, 1) for part in (ops.slice(value, 1, 0, 4), ops.slice(value, 1, -masks))
        )
        return boxes, ops.max(classes, 1), ops.argmax(classes, 1), coefficients


class YoloV5Seg(_Instances):
    """[n, N, 5 + classes + M]: centre, size, objectness, class scores, coefficients; YOLOv7's too."""

    _columns: ClassVar[str] = "5 + classes + M"
    _form: ClassVar[tuple[str, ...]] = ("n", "N", _columns)
    _before_classes: ClassVar[int] = 5

    @override
    def columns(self, ops: Ops[V], value: V, masks: int) -> tuple[V, V, V, V]:
        objectness = ops.reshape(ops.slice(value, 2, 4, 5), 0, -1)
        classes = ops.slice(value, 2, 5, -masks)
        scores = ops.multiply(objectness, ops.max(classes, 2))
        return ops.slice(value, 2, 0, 4), scores, ops.argmax(classes, 2), ops.slice(value, 2, -masks)


class Yolo26Seg(_Instances):
    """[n, N, 6 + M]: left, top, right, bottom, score, class, coefficients; every Ultralytics export with `nms=True`."""

    rules_type: ClassVar[type[OutputRules]] = FinishedInstanceRules
    _columns: ClassVar[str] = "6 + M"
    _form: ClassVar[tuple[str, ...]] = ("n", "N", _columns)
    _box_format: ClassVar[BoxFormat] = BoxFormat.CORNERS

    @override
    def check_row(self, columns: int | None, masks: int) -> None:
        if columns not in (None, 6 + masks):
            raise ContractInvalid(
                f"output.decoder 'yolo26_seg' reads 6 numbers and one for each prototype; the graph's output has "
                f"{columns}, and {masks} prototypes"
            )

    @override
    def columns(self, ops: Ops[V], value: V, masks: int) -> tuple[V, V, V, V]:
        scores, classes = (ops.reshape(ops.slice(value, 2, at, at + 1), 0, -1) for at in (4, 5))
        return ops.slice(value, 2, 0, 4), scores, classes, ops.slice(value, 2, 6)
