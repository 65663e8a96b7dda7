"""Detection: the boxes of a picture, each with a class and a score."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
from pydantic import Field
from typing_extensions import override

from serving.contract import ModelDirectory
from serving.decoders import Array
from serving.decoders.candidates import BOXES, CLASSES, MAX_CANDIDATES, SCORES, BoxUnit
from serving.v2 import Tensor, TensorSpec
from serving.v2.message import ANY
from transformer.drawing import Drawing, Entry, Mark
from transformer.pictures import Prepared
from transformer.tasks.base import Answer, Task
from transformer.tasks.options import Options
from transformer.tasks.rows import rows_of
from transformer.tasks.suppression import suppress

FARTHEST: Final = 1e9
"""How far off an edge counts, in pixels or shares: the area of such a box is within the range of float32."""


class DetectionOptions(Options):
    """What a request may change of a detector's answer."""

    confidence_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """Boxes with a smaller score are left out, whatever their class."""
    iou_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """Boxes that overlap a better one by more than this are left out."""
    class_agnostic: bool | None = None
    """Whether a box also gives way to a better one of another class."""
    max_detections: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] | None = None
    """The most boxes, best first."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One box: its corners in pixels of the original picture, as a person sees it, its class and its score."""

    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    """Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class DetectionAnswer(Answer):
    """The boxes of one picture, best first; none where nothing was found."""

    detections: tuple[Detection, ...]

    @override
    def to_json(self) -> list[dict[str, object]]:
        """Return a list of `{"label", "class_id", "score", "box": {"xmin", "ymin", "xmax", "ymax"}}`."""
        return [
            {"label": d.label, "class_id": d.class_id, "score": d.score, "box": box_json(d.box)}
            for d in self.detections
        ]

    @override
    def drawing(self) -> Drawing:
        """Return the boxes, or a line that says that there are none."""
        if not self.detections:
            return Drawing(entries=(Entry("nothing was found"),))
        return Drawing(marks=tuple(Mark(d.label, d.class_id, d.score, d.box) for d in self.detections))


def box_json(box: tuple[float, float, float, float]) -> dict[str, float]:
    """Return a box as JSON has it, to a hundredth of a pixel."""
    return {name: round(edge, 2) for name, edge in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)}


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates of one picture that are in its answer, as arrays: places among the candidates, and boxes."""

    places: Array
    boxes: Array
    """FP32 [k, 4]: left, top, right, bottom, in pixels of the original."""


class ObjectDetection(Task[DetectionAnswer, DetectionOptions]):
    """Thresholds, non-maximum suppression, and the way back to the original picture."""

    options_type: ClassVar[type[Options]] = DetectionOptions
    outputs: ClassVar[tuple[TensorSpec, ...]] = (
        TensorSpec("labels", "BYTES", (ANY, ANY)),
        TensorSpec("class_ids", "INT64", (ANY, ANY)),
        TensorSpec("scores", "FP32", (ANY, ANY)),
        TensorSpec("boxes", "FP32", (ANY, ANY, 4)),
        TensorSpec("counts", "INT64", (ANY,)),
    )
    is_quick: ClassVar[bool] = False

    def __init__(self, directory: ModelDirectory) -> None:
        super().__init__(directory)
        thresholds = self.rules.class_thresholds
        self._class_thresholds = np.array(
            [thresholds.get(label, self.rules.confidence_threshold) for label in self.labels], np.float32
        )

    @override
    def decode(self, tensors: Mapping[str, Array], picture: Prepared, options: DetectionOptions) -> DetectionAnswer:
        return self.answer(self.find(tensors, picture, options), tensors)

    def answer(self, found: Found, tensors: Mapping[str, Array]) -> DetectionAnswer:
        """Put labels and scores to what was found among the candidates."""
        classes = tensors[CLASSES][found.places].tolist()
        scores = tensors[SCORES][found.places].tolist()
        boxes = map(tuple, found.boxes.tolist())
        return DetectionAnswer(
            tuple(
                Detection(class_id, self.label(class_id), score, box)
                for class_id, score, box in zip(classes, scores, boxes, strict=True)
            )
        )

    def find(self, tensors: Mapping[str, Array], picture: Prepared, options: DetectionOptions) -> Found:
        """Choose among the candidates of one picture.

        Raises:
            PredictorFault: as `check_found`, of those that would be in the answer.
        """
        boxes, scores, classes = tensors[BOXES], tensors[SCORES], tensors[CLASSES]
        places = np.flatnonzero(scores >= self._thresholds(classes, options))
        self.check_found(scores[places].tolist(), classes[places].tolist())
        boxes = boxes[places].clip(-FARTHEST, FARTHEST)
        if self.rules.box_unit is BoxUnit.NORMALIZED:
            height, width, _ = picture.pixels.shape
            boxes *= np.array([width, height, width, height], np.float32)
        original = picture.geometry.to_original(boxes)
        # What lies beside the picture, in a letterbox's fill, is nothing that a box could give way to.
        real = (original[:, 2] > original[:, 0]) & (original[:, 3] > original[:, 1])
        places, boxes, original = places[real], boxes[real], original[real]
        stay = self._stay(boxes, classes[places], options)
        return Found(places[stay], original[stay])

    @override
    def to_tensors(self, answers: Sequence[DetectionAnswer], names: Collection[str]) -> tuple[Tensor, ...]:
        return tuple(
            rows_of(
                [answer.detections for answer in answers], (spec.name for spec in self.outputs if spec.name in names)
            )
        )

    def _thresholds(self, classes: Array, options: DetectionOptions) -> Array | float:
        if options.confidence_threshold is not None:
            return options.confidence_threshold
        if not self.rules.class_thresholds:
            return float(self.rules.confidence_threshold)
        return self._class_thresholds.take(classes, mode="clip")

    def _stay(self, boxes: Array, classes: Array, options: DetectionOptions) -> Array:
        """Return the places of the boxes that are in the answer, of all that are good enough, the best first."""
        nms = self.rules.nms
        limit = self.rules.max_detections if options.max_detections is None else options.max_detections
        if nms is None and options.iou_threshold is None:
            return np.arange(min(len(boxes), limit))
        threshold, agnostic = options.iou_threshold, options.class_agnostic
        if threshold is None:
            threshold = nms.iou_threshold
        if agnostic is None:
            agnostic = nms.class_agnostic if nms is not None else False
        return suppress(boxes, None if agnostic else classes, threshold, limit)
