"""The third step: from a decoded picture to the pixels that go to the predictor.

They are always red, green, blue: `color: bgr` in a contract is a property of the model's input, and the channels are
exchanged with the normalisation, in the predictor's graph or in `to_model_input`. So a picture on the wire means the
same whatever the model.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from serving.contract.input import (
    CropResize,
    DecodeMode,
    InputRules,
    Interpolation,
    LetterboxResize,
    ShortestEdgeResize,
)
from transformer.pictures.decode import Box, Picture
from transformer.pictures.geometry import Geometry
from transformer.pictures.opencv import resample
from transformer.pictures.placement import Placement, place

_PILLOW = {
    Interpolation.NEAREST: Resampling.NEAREST,
    Interpolation.BILINEAR: Resampling.BILINEAR,
    Interpolation.BICUBIC: Resampling.BICUBIC,
    Interpolation.LANCZOS: Resampling.LANCZOS,
    Interpolation.BOX: Resampling.BOX,
    Interpolation.HAMMING: Resampling.HAMMING,
}
"""Pillow's filters; the others are OpenCV's."""
_SEEN_PIXEL = 4 + 3 + 3
"""The most bytes of one pixel of the output: Pillow's, and twice the array's."""
_OPENCV_ROWS = 128
_OPENCV_COPIES = 4
"""The most rows of the picture that `opencv` resamples together, about twice what it aims at, and how often they are
there."""
_WHOLE = 2**24
"""The most pixels, 64 MB, of a whole picture that is scaled to be cut: a side 256 times the other, at 256 pixels."""
_BLACK = (0, 0, 0)


def resize(picture: Picture, rules: InputRules) -> tuple[NDArray[np.uint8], Geometry]:
    """Bring `picture` to the size of the model's input.

    Return the pixels, [height, width, 3] uint8, RGB, C-contiguous and read-only, and the way back to the original.
    Of a picture that was decoded in full, with `decode: exact`, they equal those of the plain steps in Pillow or, by
    its interpolations, OpenCV.
    """
    placement = place(rules, picture.width, picture.height)
    if rules.resize.interpolation not in _PILLOW:
        seen = _rgb(_seen_by_opencv(picture, rules, placement))
    elif isinstance(rules.resize, CropResize):
        seen = _pixels(_window(picture, rules, placement))
    else:
        seen = _pixels(_scaled(picture, rules, placement))
    return _filled(seen, rules, placement), Geometry.of(picture.width, picture.height, placement)


def resizing_bytes(size: tuple[int, int], kept: int, rules: InputRules, placement: Placement) -> int:
    """Return the bytes of memory that `resize` takes at most, the decoded image included, which is of `size`, width and
    height, and of `kept` bytes a pixel.
    """
    (width, height), (seen_width, seen_height) = size, placement.input_size
    if rules.resize.interpolation not in _PILLOW:
        rows = min(height, _OPENCV_ROWS + height // placement.height)
        between = _OPENCV_COPIES * kept * rows * (width + 3 * seen_width)
    elif isinstance(rules.resize, CropResize) and not _is_cut_whole(rules, placement):
        used_width = min(width, ceil(width * seen_width / placement.width))
        used_height = min(height, ceil(height * seen_height / placement.height))
        between = kept * max(seen_width * used_height, used_width * seen_height)
    else:
        seen_width, seen_height = placement.size
        between = kept * max(seen_width * height, width * seen_height)
    seen = _SEEN_PIXEL * seen_width * seen_height + 3 * placement.input_width * placement.input_height
    return kept * width * height + between + seen


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return [height, width, 3] of a picture that may be grey, [height, width]."""
    return pixels if pixels.ndim > 2 else np.stack([pixels] * 3, axis=-1)  # noqa: PLR2004  # height and width


def _seen_by_opencv(picture: Picture, rules: InputRules, placement: Placement) -> NDArray[np.uint8]:
    """Return what is seen of the scaled picture; OpenCV's taps are those of the whole, whatever part is wanted."""
    return resample(picture.image, placement.size, placement.window, picture.extent, rules.resize.interpolation)


def _scaled(picture: Picture, rules: InputRules, placement: Placement) -> Image.Image:
    """Return the whole picture, scaled."""
    return picture.image.resize(placement.size, _PILLOW[rules.resize.interpolation], picture.extent)


def _filled(seen: NDArray[np.uint8], rules: InputRules, placement: Placement) -> NDArray[np.uint8]:
    """Return what is seen of the picture in its place on a ground of the rule's color."""
    width, height = placement.input_size
    out = seen
    if seen.shape[:2] != (height, width):
        out = np.empty((height, width, 3), np.uint8)
        out[:] = _color(rules)
        left, top = placement.left, placement.top
        out[top : top + placement.height, left : left + placement.width] = seen
    out.flags.writeable = False
    return out


def _color(rules: InputRules) -> tuple[int, int, int]:
    match rules.resize:
        case LetterboxResize(color=color) | ShortestEdgeResize(pad=(_, _, _) as color):
            return color
        case _:
            return _BLACK


def _window(picture: Picture, rules: InputRules, placement: Placement) -> Image.Image:
    """Return what lies within the model's input of the picture, scaled.

    Scaling the part alone is twice as fast as scaling the whole and cutting, and not quite the same: Pillow takes the
    part's edges as 32-bit floats, which shifts its samples by up to a ten-thousandth of a pixel, and may choose the
    other order of its two passes, between which it rounds and clips. `bilinear` and `hamming` then differ by one level
    of 256, `bicubic` and `lanczos`, which overshoot, by a dozen at single edges, `box` and `nearest` by a pixel of the
    original here and there. `exact` promises equality, and gets the whole, unless that is enormous.
    """
    if _is_cut_whole(rules, placement):
        return _scaled(picture, rules, placement).crop(placement.window)
    return picture.image.resize(
        placement.input_size, _PILLOW[rules.resize.interpolation], _source_box(picture.extent, placement)
    )


def _is_cut_whole(rules: InputRules, placement: Placement) -> bool:
    return rules.decode is DecodeMode.EXACT and placement.width * placement.height <= _WHOLE


def _source_box(extent: Box, placement: Placement) -> Box:
    """Return the part of `extent`, in pixels of the decoded picture, that lies within the model's input."""
    x0, y0, x1, y1 = extent
    step_x, step_y = (x1 - x0) / placement.width, (y1 - y0) / placement.height
    left, top = x0 - placement.left * step_x, y0 - placement.top * step_y
    # Rounding must not carry an edge past the picture's, which Pillow refuses.
    right, bottom = left + placement.input_width * step_x, top + placement.input_height * step_y
    return left, top, min(right, x1), min(bottom, y1)
