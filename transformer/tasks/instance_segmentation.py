"""Instance segmentation: the boxes of a picture, each with a class, a score, and a mask of what is in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field
from typing_extensions import override

from serving.contract import ModelDirectory
from serving.decoders import Array
from serving.decoders.instances import COEFFICIENTS, PROTOTYPES
from serving.v2 import Tensor, TensorSpec
from serving.v2.message import ANY
from transformer.drawing import Drawing, Entry, Mark
from transformer.masks import MixedMask, Sampling, encode_rle
from transformer.pictures import Prepared
from transformer.tasks.base import Answer, Task
from transformer.tasks.detection import DetectionAnswer, DetectionOptions, ObjectDetection
from transformer.tasks.mask_forms import (
    MaskForm,
    bytes_tensor,
    check_pixels,
    drawn_pixels,
    empty_masks,
    mask_json,
    mask_png,
    sizes_tensor,
)
from transformer.tasks.options import Options

MAX_DRAWN_MASKS: Final = 200
"""Of how many objects, the best, the masks are drawn; of the others only the boxes."""
MAX_DRAWN_SIDE: Final = 1000
"""The most pixels of a side of a mask that is drawn."""


class InstanceOptions(DetectionOptions):
    """What a request may change of an instance segmenter's answer."""

    mask: Literal["png", "rle", "polygons", "none"] | None = None
    """The form of the masks in JSON: `rle` (COCO's, the default), `png`, `polygons`, or `none`."""
    mask_threshold: Annotated[float, Field(ge=0.01, le=0.99)] | None = None
    """From which value, 0..1, a pixel is of a mask."""


@dataclass(frozen=True, slots=True)
class InstanceAnswer(Answer):
    """The boxes of one picture, best first, and their masks."""

    boxes: DetectionAnswer
    masks: tuple[MixedMask, ...]
    form: MaskForm
    width: int
    height: int
    """Of the original, in pixels."""

    @override
    def to_json(self) -> list[dict[str, object]]:
        """Return what a detector does, each entry with a `mask`."""
        entries = self.boxes.to_json()
        if self.form == "none":
            return entries
        check_pixels(self.drawn_pixels(self.form))
        return [
            entry | {"mask": mask_json(mask, self.form, self.width, self.height)}
            for entry, mask in zip(entries, self.masks, strict=True)
        ]

    @override
    def drawing(self) -> Drawing:
        """Return the boxes with their masks, or a line that says that there are none."""
        if not self.masks:
            return Drawing(entries=(Entry("nothing was found"),))
        pairs = list(zip(self.boxes.detections, self.masks, strict=True))
        marks = [
            Mark(d.label, d.class_id, d.score, d.box, mask.thinned(MAX_DRAWN_SIDE), mask.window)
            for d, mask in pairs[:MAX_DRAWN_MASKS]
        ]
        marks += [Mark(d.label, d.class_id, d.score, d.box) for d, _ in pairs[MAX_DRAWN_MASKS:]]
        return Drawing(marks=tuple(marks))

    def drawn_pixels(self, form: MaskForm) -> int:
        """Return how many pixels are looked at for the masks."""
        return drawn_pixels(self.masks, form, self.width, self.height)


class InstanceSegmentation(Task[InstanceAnswer, InstanceOptions]):
    """A detector's answer, and a mask for each box that is in it: only those are made."""

    options_type: ClassVar[type[Options]] = InstanceOptions
    outputs: ClassVar[tuple[TensorSpec, ...]] = (
        *ObjectDetection.outputs,
        TensorSpec("sizes", "INT64", (ANY, 2)),
        TensorSpec("mask_rle", "BYTES", (ANY, ANY)),
    )
    extra_outputs: ClassVar[tuple[TensorSpec, ...]] = (
        TensorSpec("mask_png", "BYTES", (ANY, ANY)),
        TensorSpec("masks", "UINT8", (ANY, ANY, ANY, ANY)),
    )
    is_quick: ClassVar[bool] = False

    def __init__(self, directory: ModelDirectory) -> None:
        super().__init__(directory)
        self._detector = ObjectDetection(directory)

    @override
    def decode(self, tensors: Mapping[str, Array], picture: Prepared, options: InstanceOptions) -> InstanceAnswer:
        found = self._detector.find(tensors, picture, options)
        detections = self._detector.answer(found, tensors)
        prototypes = tensors[PROTOTYPES]
        sampling = Sampling.of(picture, prototypes.shape[1:])
        threshold = self.rules.mask_threshold if options.mask_threshold is None else options.mask_threshold
        # The sigmoid is over the threshold where its argument is over the threshold's logit.
        level = math.log(threshold / (1 - threshold))
        width, height = picture.geometry.width, picture.geometry.height
        masks = tuple(
            MixedMask(coefficients, prototypes, level, sampling.within(each.box), width, height)
            for coefficients, each in zip(tensors[COEFFICIENTS][found.places], detections.detections, strict=True)
        )
        return InstanceAnswer(detections, masks, options.mask or "rle", width, height)

    @override
    def to_tensors(self, answers: Sequence[InstanceAnswer], names: Collection[str]) -> tuple[Tensor, ...]:
        tensors = [*self._detector.to_tensors([answer.boxes for answer in answers], names)]
        if "sizes" in names:
            tensors.append(sizes_tensor([(answer.width, answer.height) for answer in answers]))
        if "mask_rle" in names:
            check_pixels(sum(answer.drawn_pixels("rle") for answer in answers))
            rows = [[encode_rle(mask.patch()) for mask in answer.masks] for answer in answers]
            tensors.append(bytes_tensor("mask_rle", rows))
        if "mask_png" in names:
            check_pixels(sum(answer.drawn_pixels("png") for answer in answers))
            rows = [[mask_png(mask) for mask in answer.masks] for answer in answers]
            tensors.append(bytes_tensor("mask_png", rows))
        if "masks" in names:
            tensors.append(_masks(answers))
        return tuple(tensors)


def _masks(answers: Sequence[InstanceAnswer]) -> Tensor:
    shape = (
        len(answers),
        max(len(answer.masks) for answer in answers),
        max(answer.height for answer in answers),
        max(answer.width for answer in answers),
    )
    whole = empty_masks("masks", shape, 0)
    for row, answer in zip(whole.array, answers, strict=True):
        for layer, mask in zip(row, answer.masks, strict=False):
            mask.patch().draw(layer)
    return whole
