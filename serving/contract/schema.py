"""The schema of `model.yaml`. Each field's docstring is its documentation, in the reference and in the JSON schema.

The order of the stages a picture goes through is the order of the fields: decode, resize, normalise, layout.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

PIXELS = "pixels"
"""What the input of a fused graph is called: UINT8 [n, height, width, 3] in RGB."""

API_VERSION = "kserve-vision/v1"

Channel = Annotated[float, Field(allow_inf_nan=False)]
PerChannel = tuple[Channel, ...]
Byte = Annotated[int, Field(ge=0, le=255)]
FileName = Annotated[str, Field(pattern=r"^[^/\\\x00]+$")]
"""A file beside `model.yaml`: a name, never a path, so that a model cannot point at the pod's own files."""


class Interpolation(StrEnum):
    """How pixels are resampled; Pillow's filters, antialiased when a picture shrinks."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"
    BOX = "box"
    HAMMING = "hamming"


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


class DecodeMode(StrEnum):
    """How a JPEG is decoded."""

    SCALED = "scaled"
    EXACT = "exact"


class Section(BaseModel):
    """A part of the contract: frozen, and unknown keys are refused, so that a typo cannot pass for a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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
    interpolation: Interpolation = Interpolation.BILINEAR
    """The filter used in training."""


class StretchResize(Section):
    """Scale to `height` x `width` without keeping the aspect."""

    rule: Literal["stretch"]
    interpolation: Interpolation = Interpolation.BILINEAR
    """The filter used in training."""


Resize = Annotated[CropResize | LetterboxResize | StretchResize, Field(discriminator="rule")]


class Normalize(Section):
    """``(pixel * scale - mean) / std`` per channel, on pixels 0..255, in float32."""

    scale: float = Field(default=1 / 255, gt=0, allow_inf_nan=False)
    """What a pixel is multiplied with first: 1/255 (the default) brings 0..255 to 0..1; 1 leaves it."""
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
    """The name of the graph's input. Needed only where the graph has several."""
    height: PositiveInt
    """The height of the model's input, in pixels."""
    width: PositiveInt
    """The width of the model's input, in pixels."""
    decode: DecodeMode = DecodeMode.SCALED
    """`scaled` decodes a JPEG at the smallest scale (1/2, 1/4, 1/8) that still has 1.6 times the pixels of the model's
    input along each side: two to six times cheaper on large pictures, and the labels stay. `exact` decodes every pixel,
    for bit parity with training."""
    resize: Resize
    """How the picture is brought to `height` x `width`."""
    color: ColorOrder = ColorOrder.RGB
    """The order of the channels; `bgr` for models trained with OpenCV."""
    normalize: Normalize = Normalize()
    """How a pixel becomes a number."""
    layout: Layout = Layout.NCHW
    """The order of the axes of the model's input."""
    datatype: Datatype = Datatype.FP32
    """The datatype of the model's input."""

    @model_validator(mode="after")
    def _crop_fits(self) -> InputRules:
        if isinstance(self.resize, CropResize) and self.resize.shorter_side < max(self.height, self.width):
            raise ValueError(
                f"resize.shorter_side is {self.resize.shorter_side}, smaller than the {self.height}x{self.width} that "
                f"are cut from it: give at least {max(self.height, self.width)}"
            )
        return self


class OutputRules(Section):
    """How the model's output becomes an answer."""

    tensor: str | None = None
    """The name of the graph's output. Needed only where the graph has several."""
    decoder: str
    """What the numbers mean, by the names that the task knows. Classification: `logits`, `probabilities`."""
    top_k: PositiveInt = 5
    """How many classes an answer holds, best first."""
    confidence_threshold: float = Field(default=0.0, ge=0.0, le=1.0)
    """Candidates with a smaller score are left out of the answer."""


class Batching(Section):
    """How the predictor joins pictures into one run of the model."""

    max_batch_size: PositiveInt = 32
    """The most rows in one run. A graph whose batch is fixed runs that many rows whatever this says."""


class ModelInfo(Section):
    """What is said of the model, not used to compute with."""

    file: FileName = "model.onnx"
    """The ONNX file, beside `model.yaml`."""
    version: str = Field(default="1", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The version that answers carry, and that `/v2/models/NAME/versions/VERSION` names."""
    description: str = ""
    """One sentence for people."""
    license: str = ""
    """The licence of the weights, as an SPDX identifier."""
    source: str = ""
    """Where the weights come from."""


class Contract(Section):
    """Everything that a picture needs to become a tensor, and a tensor to become an answer."""

    apiVersion: Literal["kserve-vision/v1"]
    """The version of this schema."""
    task: str
    """What the model does: `classification`."""
    model: ModelInfo = ModelInfo()
    """The file and what is said of it."""
    input: InputRules
    """From the picture to the tensor."""
    output: OutputRules
    """From the tensor to the answer."""
    labels: FileName | None = None
    """A text file beside `model.yaml` with one label a line, in the order of the class ids. Without it, answers carry
    the class id as the label."""
    batching: Batching = Batching()
    """How the predictor joins pictures."""
