from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.photos import photo_bytes
from transformer.drawing import Drawing, Mark, PictureFormat, draw, render

from .pictures import LIMITS

DRAWING = Drawing(marks=(Mark("cup", 0, 0.94, (167, 14, 411, 288)),))


@pytest.mark.parametrize("picture_format", PictureFormat)
def test_a_drawn_picture_is_written_in_the_format_that_was_asked_for(picture_format: PictureFormat) -> None:
    written = Image.open(io.BytesIO(render(photo_bytes("coffee"), LIMITS, DRAWING, picture_format)))
    drawn = draw(photo_bytes("coffee"), LIMITS, DRAWING)
    assert written.format == picture_format
    assert written.get_format_mimetype() == picture_format.media_type
    assert written.size == drawn.size
    assert np.abs(np.asarray(written, np.float32) - np.asarray(drawn, np.float32)).mean() < 5


def test_a_png_is_exact() -> None:
    written = Image.open(io.BytesIO(render(photo_bytes("coffee"), LIMITS, DRAWING, PictureFormat.PNG)))
    assert np.array_equal(np.asarray(written), np.asarray(draw(photo_bytes("coffee"), LIMITS, DRAWING)))


def test_the_default_is_a_jpeg() -> None:
    assert render(photo_bytes("coffee"), LIMITS, DRAWING)[:3] == b"\xff\xd8\xff"
