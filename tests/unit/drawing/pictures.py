"""Pictures to draw on, and what changed on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.photos import encoded, photo
from transformer.drawing import Drawing, draw
from transformer.pictures import Limits

LIMITS = Limits()
Pixels = NDArray[np.uint8]


def photo_png(name: str, size: tuple[int, int]) -> bytes:
    return encoded(photo(name, size), "PNG")


def plain_png(color: tuple[int, int, int], size: tuple[int, int] = (640, 480)) -> bytes:
    return encoded(Image.new("RGB", size, color), "PNG")


def pixels(picture: bytes, drawing: Drawing) -> Pixels:
    return np.asarray(draw(picture, LIMITS, drawing))


def changed(picture: bytes, drawing: Drawing) -> NDArray[np.bool_]:
    """Which pixels of the canvas a drawing changes, [h, w]."""
    differs: NDArray[np.bool_] = (pixels(picture, drawing) != pixels(picture, Drawing())).any(axis=2)
    return differs


def has_color(drawn: Pixels, color: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Where a picture has exactly this color, [h, w]."""
    same: NDArray[np.bool_] = (drawn == np.array(color, np.uint8)).all(axis=2)
    return same
