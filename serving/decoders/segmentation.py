"""Segmenters: which class each point of a map over the model's input is of, or how much it is of each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field, PositiveInt
from typing_extensions import override

from serving.decoders.base import TENSOR, OneTensor, OneTensorRules, OutputRules, Reduced, Sizes
from serving.decoders.candidates import Share
from serving.decoders.ops import Ops, Shape, Size, V, number
from serving.errors import ContractInvalid

CLASS_MAP: Final = "class_map"
"""UINT8 [n, h, w]: a class id for each point of a map that covers the model's input."""
LEVELS: Final = "mask_levels"
"""UINT8 [n, masks, h, w]: 0..255 for 0..1, likewise."""

NO_CLASS: Final = 255
"""The class id of points that have none."""
MAX_CLASSES: Final = 255
"""As many as a byte has beside `NO_CLASS`."""


_CLASS_MAP: Final = {CLASS_MAP: Reduced("UINT8", ("n", "h", "w"))}


class Channels(StrEnum):
    """Where the axis of the classes, or of the masks, stands."""

    FIRST = "first"
    """[n, C, h, w]"""
    LAST = "last"
    """[n, h, w, C]"""


class Upsample(StrEnum):
    """How a coarse map is enlarged to the size of the model's input."""

    HALF_PIXEL = "half_pixel"
    """bilinear, edge on edge (PyTorch's `align_corners=False`)"""
    ALIGN_CORNERS = "align_corners"
    """bilinear, the centre of each corner on that of the input's"""
    NEAREST = "nearest"
    """not at all: each point stands for its part of the input"""


class Activation(StrEnum):
    """What is left to do to the numbers of a mask."""

    NONE = "none"
    """nothing, they are 0..1"""
    SIGMOID = "sigmoid"


class MapRules(OneTensorRules):
    """What the maps of segmenters have in common."""

    channels: Channels = Channels.FIRST
    """Where the classes, or masks, stand: `first` is [n, C, h, w], `last` is [n, h, w, C]."""
    upsample: Upsample = Upsample.HALF_PIXEL
    """How the map is enlarged to the model's input, where it is coarser: bilinearly, `half_pixel` (PyTorch's
    `align_corners=False`) or `align_corners`, before a class or a level is read off; or `nearest`, not at all."""
    stride: PositiveInt | None = None
    """How many pixels of the input lie between two points of the map, for a model whose input follows the picture; 1
    for a graph that enlarges its map itself. Otherwise the sizes say it."""


class LogitsRules(MapRules):
    """A number for each class and point, of which the largest counts: logits, or what a softmax made of them."""


class ClassMapRules(OneTensorRules):
    """Class ids that the graph has chosen: [n, h, w], [n, 1, h, w] or [n, h, w, 1] of any integers or floats. Ids under
    0 and over 254 are none.
    """


class MaskRules(MapRules):
    """Masks that do not exclude each other, one or several: [n, C, h, w], [n, h, w, C], or [n, h, w] for one."""

    adjustable: ClassVar[frozenset[str]] = frozenset({"mask_threshold"})

    activation: Activation = Activation.SIGMOID
    """`sigmoid` for logits; `none` where the graph gives 0..1."""
    mask_threshold: Annotated[Share, Field(gt=0)] = 0.5
    """From which level on, 0..1, a pixel is of a mask."""


_FORMS: Final[Mapping[Channels, Sizes]] = {
    Channels.FIRST: ("n", "classes", "h", "w"),
    Channels.LAST: ("n", "h", "w", "classes"),
}


class _Map(OneTensor[MapRules]):
    """What the maps that are enlarged have in common."""

    _others: ClassVar[tuple[Sizes, ...]] = ()
    """Shapes that are read beside the one that `channels` tells."""

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.check_classes(self.classes(shapes))
        if self.size is None and self.rules.stride is None and self.rules.upsample is not Upsample.NEAREST:
            raise ContractInvalid(
                "output.stride is missing: the input's size follows the picture, so it must say how many pixels of the "
                "input a point of the output stands for (1 where the graph gives a map as large as its input)"
            )

    def classes(self, shapes: Mapping[str, Shape]) -> int | None:
        """Return how many classes, or masks, the output has; None where that is not known.

        Raises:
            ContractInvalid: it is of another rank.
        """
        return self.expect(TENSOR, shapes[TENSOR], _FORMS[self.rules.channels], *self._others).get("classes", 1)

    def target(self) -> Size | None:
        """Return what a map is brought to; None leaves it as it is."""
        if self.rules.upsample is Upsample.NEAREST:
            return None
        return self.size or self.rules.stride

    @property
    def align_corners(self) -> bool:
        """Whether the corner points stand on the corner pixels."""
        return self.rules.upsample is Upsample.ALIGN_CORNERS

    def channels_first(self, ops: Ops[V], value: V) -> V:
        """Return float32 `[n, C, h, w]`."""
        value = ops.cast(value, "float32")
        if len(ops.shape(value)) == 3:  # noqa: PLR2004  # one mask, without an axis of its own
            return ops.transpose(ops.reshape(value, 0, 0, -1, 1), 0, 3, 1, 2)
        return value if self.rules.channels is Channels.FIRST else ops.transpose(value, 0, 3, 1, 2)


class ClassLogits(_Map):
    """The largest of the enlarged numbers is a point's class."""

    rules_type: ClassVar[type[OutputRules]] = LogitsRules
    reduced: ClassVar[Mapping[str, Reduced]] = _CLASS_MAP

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        super().check(shapes)
        classes = self.classes(shapes)
        if classes == 1:
            raise ContractInvalid(
                f"output.decoder {self.rules.decoder!r} chooses between classes; the graph's output has one: the "
                "decoder 'masks' reads it"
            )
        if classes is not None and classes > MAX_CLASSES:
            raise ContractInvalid(
                f"the graph's output has {classes} classes; a class map holds at most {MAX_CLASSES}. "
                "Is output.channels right?"
            )

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        logits = self.channels_first(ops, outputs[TENSOR])
        return {CLASS_MAP: ops.resized_argmax(logits, self.target(), align_corners=self.align_corners)}


class ClassMap(OneTensor[ClassMapRules]):
    """The graph has chosen the classes."""

    rules_type: ClassVar[type[OutputRules]] = ClassMapRules
    reduced: ClassVar[Mapping[str, Reduced]] = _CLASS_MAP

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.expect(TENSOR, shapes[TENSOR], ("n", "h", "w"), ("n", 1, "h", "w"), ("n", "h", "w", 1))

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        ids = ops.cast(outputs[TENSOR], "float32")
        shape = ops.shape(ids)
        if len(shape) == 4:  # noqa: PLR2004  # with an axis of one
            ids = ops.max(ids, 3 if shape[1] != 1 == shape[3] else 1)
        # The -1 of all that is below 0 becomes 255 in a byte.
        return {CLASS_MAP: ops.cast(ops.cast(ops.clip(ids, -1, NO_CLASS), "int32"), "uint8")}


class Masks(_Map):
    """Each mask by itself, as a level from 0 to 255."""

    rules_type: ClassVar[type[OutputRules]] = MaskRules
    reduced: ClassVar[Mapping[str, Reduced]] = {LEVELS: Reduced("UINT8", ("n", "masks", "h", "w"))}
    _others: ClassVar[tuple[Sizes, ...]] = (("n", "h", "w"),)

    rules: MaskRules

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        value = self.channels_first(ops, outputs[TENSOR])
        target = self.target()
        if target is not None:
            value = ops.resize(value, target, align_corners=self.align_corners)
        if self.rules.activation is Activation.SIGMOID:
            value = ops.sigmoid(value)
        levels = ops.add(ops.multiply(value, number(ops, 255.0)), number(ops, 0.5))
        return {LEVELS: ops.cast(ops.clip(levels, 0, 255), "uint8")}
