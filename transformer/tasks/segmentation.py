"""Segmentation: the parts of a picture, each with its class, and the mask that says which pixels are of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import Field
from typing_extensions import override

from serving.contract import ModelDirectory
from serving.decoders import Array
from serving.decoders.class_scores import BACKGROUND_LABELS
from serving.decoders.segmentation import CLASS_MAP, LEVELS, NO_CLASS
from serving.errors import PredictorFault
from serving.v2 import Tensor, TensorSpec
from serving.v2.message import ANY
from transformer.drawing import ClassMap, Drawing, Entry, SoftMask
from transformer.masks import Box, ClassGrid, LevelMask, Mask, Sampling, encode_rle
from transformer.pictures import Prepared
from transformer.pictures.png import encode_map_png
from transformer.tasks.base import Answer, Task
from transformer.tasks.mask_forms import (
    MaskForm,
    alpha_png,
    base64_text,
    bytes_tensor,
    empty_masks,
    for_drawing,
    mask_json,
    mask_png,
    sizes_tensor,
)
from transformer.tasks.options import Options
from transformer.tasks.rows import rows_of

SEGMENTS: Final = (
    TensorSpec("labels", "BYTES", (ANY, ANY)),
    TensorSpec("class_ids", "INT64", (ANY, ANY)),
    TensorSpec("shares", "FP32", (ANY, ANY)),
    TensorSpec("boxes", "FP32", (ANY, ANY, 4)),
    TensorSpec("counts", "INT64", (ANY,)),
)
"""The V2 outputs of segments, but their masks."""

SIZES: Final = TensorSpec("sizes", "INT64", (ANY, 2))
"""The pictures' heights and widths."""


class SegmentationOptions(Options):
    """What a request may change of a segmenter's answer."""

    mask: MaskForm | None = None
    """The form of the masks in JSON: `png` (the default), `rle` (COCO's), `polygons`, `alpha` (the levels of masks that
    have them, as a grey PNG), or `none`."""
    mask_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """From which level on a pixel is of a mask, for models that give levels."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What is of one class in a picture."""

    class_id: int
    label: str
    share: float
    """Of the picture's pixels, 0..1."""
    pixels: int
    box: Box
    """Left, top, right, bottom of all that is of it, in pixels of the original; zeros where nothing is."""
    mask: Mask

    def to_json(self) -> dict[str, object]:
        """Return all but the mask."""
        box = dict(zip(("xmin", "ymin", "xmax", "ymax"), self.box, strict=True))
        return {
            "label": self.label,
            "class_id": self.class_id,
            "share": round(self.share, 6),
            "pixels": self.pixels,
            "box": box,
        }


@dataclass(frozen=True, slots=True)
class SegmentationAnswer(Answer):
    """The segments of one picture, the largest first."""

    segments: tuple[Segment, ...]
    form: MaskForm
    width: int
    height: int
    """Of the original, in pixels."""
    classes: ClassGrid | None = None
    """Where the classes exclude each other."""

    @override
    def to_json(self) -> dict[str, object]:
        """Return `{"segments": [{"label", "class_id", "share", "pixels", "box"}]}`.

        A class map as `png` stands beside `segments`, as `mask`; everything else is one `mask` for each segment.
        """
        segments = [segment.to_json() for segment in self.segments]
        answer: dict[str, object] = {"segments": segments}
        if self.form == "png" and self.classes is not None:
            png = base64_text(encode_map_png(self.classes.whole()))
            return answer | {"mask": {"width": self.width, "height": self.height, "png": png}}
        if self.form != "none":
            for entry, segment in zip(segments, self.segments, strict=True):
                entry["mask"] = mask_json(segment.mask, self.form, self.width, self.height)
        return answer

    @override
    def drawing(self) -> Drawing:
        """Return the masks, and a line for each segment; the background of a class map is not drawn."""
        entries = tuple(
            Entry(s.label, f"{s.share:.0%}", s.share, s.class_id)
            for s in self.segments
            if s.label.lower() not in BACKGROUND_LABELS
        )
        if self.classes is not None:
            hidden = {s.class_id for s in self.segments if s.label.lower() in BACKGROUND_LABELS}
            return Drawing(ClassMap(self.classes.whole(), frozenset({NO_CLASS, *hidden})), entries=entries)
        soft = tuple(
            SoftMask(for_drawing(s.mask.levels()), s.class_id, edge=round(s.mask.level))
            for s in self.segments
            if isinstance(s.mask, LevelMask)
        )
        return Drawing(soft_masks=soft, entries=entries)


class _Segmentation(Task[SegmentationAnswer, SegmentationOptions]):
    """What the two have in common: the V2 outputs but the masks."""

    options_type: ClassVar[type[Options]] = SegmentationOptions
    is_quick: ClassVar[bool] = False

    @override
    def to_tensors(self, answers: Sequence[SegmentationAnswer], names: Collection[str]) -> tuple[Tensor, ...]:
        makers = self._makers(answers)
        tensors = rows_of(
            [answer.segments for answer in answers], (spec.name for spec in SEGMENTS if spec.name in names)
        )
        return (*tensors, *(makers[name]() for name in makers if name in names))

    def _makers(self, answers: Sequence[SegmentationAnswer]) -> Mapping[str, Callable[[], Tensor]]:
        """Return how the outputs with masks are made; only those that are wanted are."""
        return {
            "sizes": lambda: sizes_tensor([(answer.width, answer.height) for answer in answers]),
            "mask_rle": lambda: bytes_tensor("mask_rle", _each_mask(answers, lambda m: encode_rle(m.patch()))),
        }

    def _form(self, options: SegmentationOptions) -> MaskForm:
        return options.mask or "png"


class Segmentation(_Segmentation):
    """Classes that exclude each other: one map says them all."""

    outputs: ClassVar[tuple[TensorSpec, ...]] = (
        *SEGMENTS,
        SIZES,
        TensorSpec("mask", "UINT8", (ANY, ANY, ANY)),
    )
    extra_outputs: ClassVar[tuple[TensorSpec, ...]] = (
        TensorSpec("mask_png", "BYTES", (ANY,)),
        TensorSpec("mask_rle", "BYTES", (ANY, ANY)),
    )

    @override
    @classmethod
    def of(cls, directory: ModelDirectory) -> _Segmentation:
        """Return the task as the decoder's outputs are: a class map, or masks that do not exclude each other."""
        return (MaskSegmentation if LEVELS in directory.decoder().reduced else cls)(directory)

    @override
    def decode(
        self, tensors: Mapping[str, Array], picture: Prepared, options: SegmentationOptions
    ) -> SegmentationAnswer:
        classes = ClassGrid.of(tensors[CLASS_MAP], picture)
        self._check_classes(classes)
        whole = classes.width * classes.height
        segments = []
        for class_id, pixels in sorted(classes.pixels.items(), key=lambda item: -item[1]):
            mask = classes.mask(class_id)
            segments.append(Segment(class_id, self.label(class_id), pixels / whole, pixels, mask.box, mask))
        return SegmentationAnswer(tuple(segments), self._form(options), classes.width, classes.height, classes)

    def _check_classes(self, classes: ClassGrid) -> None:
        if self.labels and classes.pixels and max(classes.pixels) >= len(self.labels):
            raise PredictorFault(
                f"the predictor found class {max(classes.pixels)}; the contract has {len(self.labels)} labels, for the "
                f"classes 0 to {len(self.labels) - 1}, and {NO_CLASS} is none"
            )

    @override
    def _makers(self, answers: Sequence[SegmentationAnswer]) -> Mapping[str, Callable[[], Tensor]]:
        def mask() -> Tensor:
            whole = empty_masks("mask", _shape(answers), NO_CLASS)
            for row, grid in zip(whole.array, grids, strict=True):
                row[: grid.height, : grid.width] = grid.whole()
            return whole

        def png() -> Tensor:
            return Tensor("mask_png", bytes_tensor("", [[encode_map_png(g.whole())] for g in grids]).array[:, 0])

        grids = [answer.classes for answer in answers if answer.classes is not None]
        return {"mask": mask, "mask_png": png, **super()._makers(answers)}


class MaskSegmentation(_Segmentation):
    """Masks that do not exclude each other. Those that no pixel is of are left out, unless the model has only one."""

    outputs: ClassVar[tuple[TensorSpec, ...]] = (
        *SEGMENTS,
        SIZES,
        TensorSpec("masks", "UINT8", (ANY, ANY, ANY, ANY)),
    )
    extra_outputs: ClassVar[tuple[TensorSpec, ...]] = (
        TensorSpec("mask_png", "BYTES", (ANY, ANY)),
        TensorSpec("mask_rle", "BYTES", (ANY, ANY)),
        TensorSpec("mask_alpha", "BYTES", (ANY, ANY)),
    )

    @override
    def decode(
        self, tensors: Mapping[str, Array], picture: Prepared, options: SegmentationOptions
    ) -> SegmentationAnswer:
        levels = tensors[LEVELS]
        width, height = picture.geometry.width, picture.geometry.height
        sampling = Sampling.of(picture, levels.shape[1:])
        threshold = self.rules.mask_threshold if options.mask_threshold is None else options.mask_threshold
        segments = []
        for class_id, values in enumerate(levels):
            mask = LevelMask(values, threshold * 255, sampling, width, height)
            patch = mask.patch()
            pixels = patch.pixels
            if pixels or len(levels) == 1:
                share = pixels / (width * height)
                segments.append(Segment(class_id, self.label(class_id), share, pixels, patch.box, mask))
        segments.sort(key=lambda segment: -segment.pixels)
        return SegmentationAnswer(tuple(segments), self._form(options), width, height)

    @override
    def _makers(self, answers: Sequence[SegmentationAnswer]) -> Mapping[str, Callable[[], Tensor]]:
        def masks() -> Tensor:
            most = max(len(answer.segments) for answer in answers)
            whole = empty_masks("masks", (len(answers), most, *_shape(answers)[1:]), 0)
            for row, answer in zip(whole.array, answers, strict=True):
                for layer, segment in zip(row, answer.segments, strict=False):
                    segment.mask.patch().draw(layer)
            return whole

        return {
            "masks": masks,
            "mask_png": lambda: bytes_tensor("mask_png", _each_mask(answers, mask_png)),
            "mask_alpha": lambda: bytes_tensor("mask_alpha", _each_mask(answers, alpha_png)),
            **super()._makers(answers),
        }


def _each_mask(answers: Sequence[SegmentationAnswer], encode: Callable[[Mask], bytes]) -> list[list[bytes]]:
    return [[encode(segment.mask) for segment in answer.segments] for answer in answers]


def _shape(answers: Sequence[SegmentationAnswer]) -> tuple[int, int, int]:
    """Return how many there are, and the largest height and width."""
    return len(answers), max(answer.height for answer in answers), max(answer.width for answer in answers)
