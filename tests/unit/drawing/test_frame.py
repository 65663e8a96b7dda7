from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tests.photos import encoded, photo
from transformer.drawing import Drawing, draw
from transformer.drawing.frame import FONT_SIZES, MAX_SIDE, MIN_HEIGHT, MIN_WIDTH, Frame

from .pictures import LIMITS, photo_png, pixels

sides = st.integers(1, 65_535)
shares = st.floats(-0.5, 1.5)


@given(sides, sides)
@example(1, 1)
@example(65_535, 1)
@example(1, 65_535)
def test_any_picture_gets_a_canvas_with_room_for_words(width: int, height: int) -> None:
    frame = Frame.of(width, height)
    left, top, right, bottom = frame.inner
    assert MIN_WIDTH <= frame.width <= MAX_SIDE
    assert MIN_HEIGHT <= frame.height <= MAX_SIDE
    assert 0 <= left < right <= frame.width
    assert 0 <= top < bottom <= frame.height
    assert FONT_SIZES[0] <= frame.font_size <= FONT_SIZES[1]


@given(sides, sides, st.tuples(shares, shares, shares, shares))
def test_a_box_lies_within_the_picture_and_is_never_empty(
    width: int, height: int, edges: tuple[float, float, float, float]
) -> None:
    frame = Frame.of(width, height)
    left, top, right, bottom = edges
    x0, y0, x1, y1 = frame.place((left * width, top * height, right * width, bottom * height))
    assert frame.inner[0] <= x0 < x1 <= frame.inner[2]
    assert frame.inner[1] <= y0 < y1 <= frame.inner[3]


@pytest.mark.parametrize(
    ("size", "box", "place"),
    [
        ((640, 480), (100, 120, 300, 350), (100, 120, 300, 350)),
        ((16, 16), (4, 5, 12, 13), (100, 125, 300, 325)),
        ((4096, 2048), (1000, 800, 3000, 1600), (500, 400, 1500, 800)),
        ((2000, 40), (1000, 10, 1040, 40), (1000, 38, 1040, 68)),
        ((40, 2000), (10, 1000, 40, 1040), (150, 1000, 180, 1040)),
    ],
)
def test_a_box_lies_where_the_picture_lies(
    size: tuple[int, int], box: tuple[float, float, float, float], place: tuple[int, int, int, int]
) -> None:
    assert Frame.of(*size).place(box) == place


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((1280, 853), (1280, 853)),
        ((16, 16), (400, 400)),
        ((1, 1), (400, 400)),
        ((300, 200), (600, 400)),
        ((2000, 100), (2000, 100)),
        ((900, 1), (1800, 96)),
        ((1, 900), (320, 1800)),
        ((3000, 2000), (2048, 1365)),
    ],
)
def test_a_picture_is_drawn_at_a_size_that_people_can_see(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert draw(encoded(photo("china", size), "JPEG"), LIMITS, Drawing()).size == drawn


def test_a_picture_of_an_ordinary_size_stays_as_it_is() -> None:
    assert np.array_equal(pixels(photo_png("coffee", (600, 400)), Drawing()), np.asarray(photo("coffee", (600, 400))))


def test_a_jpeg_of_an_ordinary_size_is_decoded_whole() -> None:
    jpeg = encoded(photo("coffee", (600, 400)), "JPEG")
    assert np.array_equal(pixels(jpeg, Drawing()), np.asarray(Image.open(io.BytesIO(jpeg))))


def test_a_small_picture_is_enlarged_without_blurring() -> None:
    small = np.asarray(photo("chelsea", (16, 12)))
    assert np.array_equal(pixels(photo_png("chelsea", (16, 12)), Drawing()), small.repeat(25, 0).repeat(25, 1))


def test_a_large_jpeg_shows_the_same_as_a_large_png() -> None:
    size = (3001, 2003)
    jpeg = draw(encoded(photo("flower", size), "JPEG", quality=95), LIMITS, Drawing())
    png = draw(encoded(photo("flower", size), "PNG", compress_level=1), LIMITS, Drawing())
    assert jpeg.size == png.size
    assert np.abs(np.asarray(jpeg, np.float32) - np.asarray(png, np.float32)).mean() < 2


def test_a_grey_picture_is_drawn_on_in_color() -> None:
    assert draw(encoded(photo("coffee", (600, 400)).convert("L"), "PNG"), LIMITS, Drawing()).mode == "RGB"
