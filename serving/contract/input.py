"""The input section of `model.yaml`: how an encoded picture becomes the model's input.

The order of the stages a picture goes through is the order of the fields: decode, resize, normalise, layout.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Discriminator, Field, PositiveInt, Tag, model_validator

from serving.section import Section

PIXELS = "pixels"
"""What the input of a fused graph is called: UINT8 [n, height, width, 3] in RGB."""

Channel = Annotated[float, Field(allow_inf_nan=False)]
PerChannel = tuple[Channel, ...]
Byte = Annotated[int, Field(ge=0, le=255)]


class Interpolation(StrEnum):
    """How pixels are resampled: Pillow's filters, antialiased when a picture shrinks (as torchvision's and Hugging
    Face's are), and OpenCV's, which are not, but for `opencv_area` (`cv2.INTER_AREA` and so on).
    """

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"
    BOX = "box"
    HAMMING = "hamming"
    OPENCV_NEAREST = "opencv_nearest"
    OPENCV_LINEAR = "opencv_linear"
    OPENCV_CUBIC = "opencv_cubic"
    OPENCV_AREA = "opencv_area"


class ColorOrder(StrEnum):
    """The order of the colour channels that the model was trained with."""

    RGB = "rgb"
    BGR = "bgr"


class Layout(StrEnum):
    """The order of the axes of the model's input."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class Datatype(StrEnum):
    """The datatype of the model's input, by its V2 name."""

    FP32 = "FP32"
    FP16 = "FP16"
    UINT8 = "UINT8"


class SizeOrder(StrEnum):
    """The order of the two numbers of a size."""

    WIDTH_HEIGHT = "width_height"
    HEIGHT_WIDTH = "height_width"


class DecodeMode(StrEnum):
    """How a JPEG is decoded."""

    SCALED = "scaled"
    EXACT = "exact"


class CropResize(Section):
    """Scale the shorter side to `shorter_side`, then cut `height` x `width` from the middle (torchvision's and timm's
    evaluation transform).
    """

    rule: Literal["crop"]
    shorter_side: PositiveInt
    """The shorter side in pixels before the cut, 256 for most 224 models. At least the larger of height and width."""
    interpolation: Interpolation = Interpolation.BILINEAR
    """The filter used in training."""


class LetterboxResize(Section):
    """Scale the whole picture to fit inside `height` x `width`, and fill the rest with `color`."""

    rule: Literal["letterbox"]
    color: tuple[Byte, Byte, Byte] = (114, 114, 114)
    """The fill, as red, green, blue in 0..255. 114 is what the YOLO family trains with."""
    align: Literal["center", "top_left"] = "center"
    """Where the picture stands in the box."""
    multiple: PositiveInt | None = None
    """For a graph that takes any height and width: each side of the box is then the smallest multiple of this, in
    pixels, that holds the scaled picture, and `height` x `width` is the largest box. 32 is Ultralytics' rectangular
    inference. Without it the box is always `height` x `width`."""
    interpolation: Interpolation = Interpolation.BILINEAR
    """The filter used in training."""


class StretchResize(Section):
    """Scale to `height` x `width` without keeping the aspect."""

    rule: Literal["stretch"]
    interpolation: Interpolation = Interpolation.BILINEAR
    """The filter used in training."""


class ShortestEdgeResize(Section):
    """Scale to a size that follows the picture, for a graph that takes any height and width: the shorter side becomes
    `shorter_side`, or less where the longer would pass `longer_side`, and the aspect is kept (Hugging Face's
    `shortest_edge` and `longest_edge`). `height` and `width` of the input are left out.
    """

    rule: Literal["shortest_edge"]
    shorter_side: PositiveInt
    """The shorter side in pixels, 800 for DETR."""
    longer_side: PositiveInt
    """The most that the longer side may have, in pixels, 1333 for DETR. At least `shorter_side`."""
    multiple: PositiveInt = 1
    """What both sides are brought to a multiple of, in pixels, 32 for many networks: rounded to the nearest (at least
    one), or, with `pad`, filled up to the next."""
    pad: tuple[Byte, Byte, Byte] | None = None
    """The fill at the right and at the bottom up to the next multiple, as red, green, blue in 0..255. Without it
    nothing is filled."""
    interpolation: Interpolation = Interpolation.BILINEAR
    """The filter used in training."""

    @model_validator(mode="after")
    def _sides_are_in_order(self) -> ShortestEdgeResize:
        if self.longer_side < self.shorter_side:
            raise ValueError(
                f"longer_side is {self.longer_side}, smaller than shorter_side, {self.shorter_side}: give at least "
                f"{self.shorter_side}"
            )
        return self


Resize = Annotated[
    CropResize | LetterboxResize | StretchResize | ShortestEdgeResize,
    Field(discriminator="rule"),
]


MAX_PIXELS: Final = 2**26
"""The most pixels of a model's input, 8192 x 8192: its numbers take 800 MB."""
LARGEST: Final = "max"
"""The scale that divides by the picture's largest value."""
SMALLEST_DIVISOR: Final = 1e-6
"""What a black picture is divided by, whose largest value is 0."""


def _kind_of_scale(value: object) -> str:
    return "largest" if value == LARGEST else "number"


Scale = Annotated[
    Annotated[float, Field(gt=0, allow_inf_nan=False), Tag("number")] | Annotated[Literal["max"], Tag("largest")],
    Discriminator(_kind_of_scale),
]


class Normalize(Section):
    """``(pixel * scale - mean) / std`` per channel, on pixels 0..255, in float32."""

    scale: Scale = 1 / 255
    """What a pixel is multiplied with first: 1/255 (the default) brings 0..255 to 0..1; 1 leaves it. `max` divides by
    the largest value of the picture, over all its pixels and channels (at least 1e-6), as U2-Net's and IS-Net's
    training does."""
    mean: PerChannel = (0.0, 0.0, 0.0)
    """Subtracted after `scale`, one number for each channel in the order of `color`, or one for all."""
    std: PerChannel = (1.0, 1.0, 1.0)
    """Divided by last, one number for each channel in the order of `color`, or one for all."""

    @model_validator(mode="after")
    def _std_divides(self) -> Normalize:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, 3):
                raise ValueError(f"{name} has {len(values)} numbers: one for each of the 3 channels, or one for all")
        if 0.0 in self.std:
            raise ValueError("std holds a 0, by which nothing can be divided")
        return self


class InputRules(Section):
    """How an encoded picture becomes the model's input."""

    tensor: str | None = None
    """The name of the graph's input for the picture. Needed only where the graph has several."""
    size_tensor: str | None = None
    """The name of a second input of the graph, [n, 2], that is fed the height and width of the model's input in pixels,
    so that the boxes come in these: `orig_target_sizes` of RT-DETR and D-FINE, `image_shape` of YOLOv3."""
    size_order: SizeOrder = SizeOrder.WIDTH_HEIGHT
    """The order of the numbers in `size_tensor`: `width_height` for RT-DETR and D-FINE, `height_width` for YOLOv3."""
    height: PositiveInt | None = None
    """The height of the model's input, in pixels. Every rule needs it but `shortest_edge`, which finds its own."""
    width: PositiveInt | None = None
    """The width of the model's input, in pixels. Every rule needs it but `shortest_edge`, which finds its own."""
    decode: DecodeMode = DecodeMode.SCALED
    """`scaled` decodes a JPEG at the smallest scale (1/2, 1/4, 1/8) that still has 1.6 times the pixels of the model's
    input along each side: two to six times cheaper on large pictures, and the labels stay. `exact` decodes every pixel,
    for bit parity with training."""
    resize: Resize
    """How the picture is brought to the size of the model's input."""
    color: ColorOrder = ColorOrder.RGB
    """The order of the channels; `bgr` for models trained with OpenCV."""
    normalize: Normalize = Normalize()
    """How a pixel becomes a number."""
    layout: Layout = Layout.NCHW
    """The order of the axes of the model's input."""
    datatype: Datatype = Datatype.FP32
    """The datatype of the model's input."""

    @model_validator(mode="after")
    def _size_fits_the_rule(self) -> InputRules:
        resize = self.resize
        given = {"height": self.height, "width": self.width}
        if isinstance(resize, ShortestEdgeResize):
            there = [name for name, value in given.items() if value is not None]
            if there:
                raise ValueError(
                    f"{' and '.join(there)} and the rule shortest_edge exclude each other, since it finds the size of "
                    "each picture: leave them out, or take another rule"
                )
            self._check_pixels(*self.largest_size)
            return self
        missing = [name for name, value in given.items() if value is None]
        if missing:
            raise ValueError(
                f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} missing, which the rule {resize.rule} needs"
            )
        self._check_pixels(*self.largest_size)
        match resize:
            case CropResize(shorter_side=shorter_side):
                self._check_pixels(shorter_side, shorter_side)
                self._check_crop(shorter_side)
            case LetterboxResize(multiple=int(multiple)):
                self._check_multiple(multiple)
        return self

    @staticmethod
    def _check_pixels(height: int, width: int) -> None:
        if height * width > MAX_PIXELS:
            raise ValueError(
                f"the model's input, or what it is cut from, has {height} x {width} pixels; at most {MAX_PIXELS} are "
                "taken: give it a smaller size"
            )

    def _check_crop(self, shorter_side: int) -> None:
        height, width = self.largest_size
        if shorter_side < max(height, width):
            raise ValueError(
                f"resize.shorter_side is {shorter_side}, smaller than the {height}x{width} that are cut from it: "
                f"give at least {max(height, width)}"
            )

    def _check_multiple(self, multiple: int) -> None:
        height, width = self.largest_size
        if height % multiple or width % multiple:
            raise ValueError(
                f"height {height} and width {width} are the largest box, and must be multiples of resize.multiple, "
                f"{multiple}: give {next_multiple(height, multiple)} and {next_multiple(width, multiple)}"
            )

    @property
    def follows_picture(self) -> bool:
        """Whether each picture has its own size; else all have `largest_size`."""
        match self.resize:
            case ShortestEdgeResize():
                return True
            case LetterboxResize(multiple=multiple):
                return multiple is not None
            case _:
                return False

    @property
    def largest_size(self) -> tuple[int, int]:
        """Height and width of the model's input. Where they follow the picture, those of the most pixels that any
        picture gets; by `shortest_edge`, of a picture wider than high.
        """
        if isinstance(self.resize, ShortestEdgeResize):
            multiple = self.resize.multiple
            return next_multiple(self.resize.shorter_side, multiple), next_multiple(self.resize.longer_side, multiple)
        assert self.height is not None and self.width is not None  # noqa: S101, PT018  # validated
        return self.height, self.width


def next_multiple(size: int, multiple: int) -> int:
    """Return the smallest multiple that is not under `size`."""
    return -(-size // multiple) * multiple
