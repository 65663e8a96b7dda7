"""The third step: from a decoded picture to the pixels that go to the predictor.

They are always red, green, blue: `color: bgr` in a contract is a property of the model's input, and the channels are
exchanged with the normalisation, in the predictor's graph or in `to_model_input`. So a picture on the wire means the
same whatever the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from serving.contract.schema import (
    CropResize,
    DecodeMode,
    InputRules,
    Interpolation,
    LetterboxResize,
    StretchResize,
)
from transformer.pictures.decode import Box, Picture
from transformer.pictures.geometry import Geometry
from transformer.pictures.placement import Placement, place

_FILTERS = {
    Interpolation.NEAREST: Resampling.NEAREST,
    Interpolation.BILINEAR: Resampling.BILINEAR,
    Interpolation.BICUBIC: Resampling.BICUBIC,
    Interpolation.LANCZOS: Resampling.LANCZOS,
    Interpolation.BOX: Resampling.BOX,
    Interpolation.HAMMING: Resampling.HAMMING,
}
_WHOLE = 2**24
"""The most pixels, 64 MB, of a whole picture that is scaled to be cut: a side 256 times the other, at 256 pixels."""


def resize(picture: Picture, rules: InputRules) -> tuple[NDArray[np.uint8], Geometry]:
    """Bring `picture` to the model's size.

    Return the pixels, [height, width, 3] uint8, RGB, C-contiguous and read-only, and the way back to the original.
    Of a picture that was decoded in full, with `decode: exact`, they equal those of the plain steps in Pillow.
    """
    placement = place(rules, picture.width, picture.height)
    match rules.resize:
        case CropResize():
            image = _window(picture, rules, placement)
        case LetterboxResize(color=color):
            image = _filled(_scaled(picture, rules, placement), rules, placement, color)
        case StretchResize():
            image = _scaled(picture, rules, placement)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return np.asarray(rgb), Geometry.of(picture.width, picture.height, placement)


def _scaled(picture: Picture, rules: InputRules, placement: Placement) -> Image.Image:
    """Return the whole picture, scaled."""
    return picture.image.resize(placement.size, _FILTERS[rules.resize.interpolation], picture.extent)


def _filled(image: Image.Image, rules: InputRules, placement: Placement, color: tuple[int, int, int]) -> Image.Image:
    """Return `image` in its place on a ground of `color`."""
    if placement.size == (rules.width, rules.height):
        return image
    ground = Image.new("RGB", (rules.width, rules.height), color)
    ground.paste(image, (placement.left, placement.top))
    return ground


def _window(picture: Picture, rules: InputRules, placement: Placement) -> Image.Image:
    """Return what lies within the model's input of the picture, scaled.

    Scaling the part alone is twice as fast as scaling the whole and cutting, and not quite the same: Pillow takes the
    part's edges as 32-bit floats, which shifts its samples by up to a ten-thousandth of a pixel, and may choose the
    other order of its two passes, between which it rounds and clips. `bilinear` and `hamming` then differ by one level
    of 256, `bicubic` and `lanczos`, which overshoot, by a dozen at single edges, `box` and `nearest` by a pixel of the
    original here and there. `exact` promises equality, and gets the whole, unless that is enormous.
    """
    if rules.decode is DecodeMode.EXACT and placement.width * placement.height <= _WHOLE:
        whole = _scaled(picture, rules, placement)
        left, top = -placement.left, -placement.top
        return whole.crop((left, top, left + rules.width, top + rules.height))
    return picture.image.resize(
        (rules.width, rules.height), _FILTERS[rules.resize.interpolation], _source_box(picture.extent, rules, placement)
    )


def _source_box(extent: Box, rules: InputRules, placement: Placement) -> Box:
    """Return the part of `extent`, in pixels of the decoded picture, that lies within the model's input."""
    x0, y0, x1, y1 = extent
    step_x, step_y = (x1 - x0) / placement.width, (y1 - y0) / placement.height
    left, top = x0 - placement.left * step_x, y0 - placement.top * step_y
    # Rounding must not carry an edge past the picture's, which Pillow refuses.
    return left, top, min(left + rules.width * step_x, x1), min(top + rules.height * step_y, y1)
