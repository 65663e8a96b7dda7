from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from serving.errors import ImageCorrupt, ImageTooLarge, ImageUnsupported
from tests.photos import encoded, photo, photo_bytes
from tests.unit.pictures.bombs import png
from transformer.drawing import Box, Drawing, Mark, draw
from transformer.drawing.palette import color_of, contrast, ink_on

from .pictures import LIMITS, changed, has_color, photo_png, pixels, plain_png

VISIBLE = 2.1
"""A color and its ink are 4.5 to 1 apart, so that one of them is the root of that from any third."""


def boxes(*edges: Box, label: str = "cup") -> Drawing:
    return Drawing(marks=tuple(Mark(label, i, 0.9 - i / 100, box) for i, box in enumerate(edges)))


def test_a_box_lies_where_it_was_found() -> None:
    drawn = pixels(plain_png((90, 90, 90)), boxes((100, 120, 300, 350)))
    rows, columns = np.nonzero(has_color(drawn, color_of(0))[120:])
    assert (columns.min(), columns.max() + 1, rows.max() + 121) == (100, 300, 350)
    assert has_color(drawn, color_of(0))[200, 100:102].all()


def test_the_picture_away_from_a_box_and_its_label_is_unchanged() -> None:
    differs = changed(photo_png("coffee", (640, 480)), boxes((200, 150, 400, 350)))
    rows, columns = np.nonzero(differs)
    assert (columns.min(), columns.max()) == (199, 400)
    assert rows.max() == 350
    assert 120 <= rows.min() <= 135  # the label
    assert not differs[155:345, 205:395].any()


def test_a_label_is_black_or_white_on_the_color_of_its_class() -> None:
    drawn = pixels(plain_png((90, 90, 90)), boxes((200, 150, 400, 350), label="WWWW"))
    plate = drawn[130:149, 201:240]
    assert has_color(plate, color_of(0)).any()
    assert has_color(plate, ink_on(color_of(0))).any()


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3), st.integers(0, 40))
@example((0, 0, 0), 5)
@example((86, 180, 233), 0)
def test_an_outline_is_seen_on_any_color(background: tuple[int, int, int], class_id: int) -> None:
    picture = plain_png(background, (400, 400))
    drawn = pixels(picture, Drawing(marks=(Mark("", class_id, None, (100, 100, 300, 300)),)))
    edge = [tuple(map(int, pixel)) for pixel in drawn[200, 95:108]]
    assert max(contrast((r, g, b), background) for r, g, b in edge) >= VISIBLE


def test_a_label_far_from_its_box_is_joined_to_it() -> None:
    same = boxes(*[(300, 220, 312, 232)] * 12)
    apart = changed(plain_png((90, 90, 90)), same)
    # Every changed pixel is part of one connected figure: grow from the box until nothing is added.
    reached = np.zeros_like(apart)
    reached[220:232, 300:312] = True
    while True:
        wider = reached.copy()
        for shift in (1, -1, 2, -2):
            wider |= np.roll(reached, shift, 0) | np.roll(reached, shift, 1)
        wider = (wider & apart) | reached
        if (wider == reached).all():
            break
        reached = wider
    assert not (apart & ~reached).any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_lands_right_on_a_picture_that_exif_turns(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(photo("astronaut", (500, 410)), "PNG", exif=exif)
    upright = encoded(ImageOps.exif_transpose(Image.open(io.BytesIO(stored))), "PNG")
    found = boxes((40, 30, 250, 380))
    assert np.array_equal(pixels(stored, found), pixels(upright, found))


def test_a_box_of_a_large_picture_lands_right_on_the_reduced_one() -> None:
    drawn = pixels(plain_png((90, 90, 90), (4096, 2048)), boxes((1000, 800, 3000, 1600)))
    assert drawn.shape == (1024, 2048, 3)
    rows, columns = np.nonzero(has_color(drawn, color_of(0))[500:700])
    assert (columns.min(), columns.max() + 1) == (500, 1500)
    assert len(rows)


def test_a_box_of_a_tiny_picture_lands_on_its_enlarged_pixels() -> None:
    drawn = pixels(plain_png((90, 90, 90), (16, 16)), boxes((4, 4, 12, 12)))
    _, columns = np.nonzero(has_color(drawn, color_of(0))[120:])
    assert (columns.min(), columns.max() + 1) == (100, 300)


def test_each_box_has_the_color_of_its_class() -> None:
    marks = (Mark("cup", 1, 0.4, (100, 100, 200, 200)), Mark("dog", 2, 0.9, (400, 300, 500, 400)))
    drawn = pixels(plain_png((90, 90, 90)), Drawing(marks=marks))
    assert has_color(drawn, color_of(1))[150, 100]
    assert has_color(drawn, color_of(2))[350, 400]


def test_the_better_of_two_boxes_lies_on_top() -> None:
    box = (200.0, 150.0, 400.0, 350.0)
    marks = (Mark("better", 1, 0.9, box), Mark("worse", 2, 0.4, box))
    for order in (marks, marks[::-1]):
        drawn = pixels(plain_png((90, 90, 90)), Drawing(marks=order))
        assert has_color(drawn, color_of(1))[250, 200]


def test_a_box_without_a_score_has_a_label_without_a_number() -> None:
    picture, box = plain_png((90, 90, 90)), (200.0, 150.0, 400.0, 350.0)
    with_score = changed(picture, Drawing(marks=(Mark("cup", 0, 0.5, box),)))
    without = changed(picture, Drawing(marks=(Mark("cup", 0, None, box),)))
    assert without[130:149].sum() < with_score[130:149].sum()


def test_a_crowd_of_a_hundred_is_drawn_with_a_label_for_most() -> None:
    picture = encoded(photo("china", (1280, 853)), "JPEG")
    crowd = boxes(*[(x, y, x + 40, y + 60) for y in range(20, 780, 80) for x in range(20, 1220, 121)])
    assert len(crowd.marks) == 100
    assert draw(picture, LIMITS, crowd).size == (1280, 853)  # no panel: every label has a place


def test_labels_that_have_no_room_are_counted_below_the_picture() -> None:
    picture = photo_png("chelsea", (451, 300))
    assert draw(picture, LIMITS, boxes(*[(100, 100, 120, 120)] * 300)).height > 300


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (16, 16), (2000, 100), (3, 4000)])
def test_pictures_of_any_shape_are_drawn_on(size: tuple[int, int]) -> None:
    width, height = size
    assert changed(photo_png("china", size), boxes((0, 0, width, height), (width / 3, 0, width / 2, height))).any()


def test_the_same_is_drawn_each_time() -> None:
    picture = photo_bytes("coffee")
    found = boxes(*[(x, 3 * x / 4, x + 90, 300) for x in range(0, 500, 23)])
    assert np.array_equal(pixels(picture, found), pixels(picture, found))


@pytest.mark.parametrize(
    ("picture", "error"),
    [
        (png(60_000, 60_000), ImageTooLarge),
        (b"hello", ImageUnsupported),
        (photo_bytes("coffee")[:5000], ImageCorrupt),
    ],
    ids=["a bomb", "text", "half a picture"],
)
def test_a_hostile_picture_is_refused_as_everywhere(picture: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        draw(picture, LIMITS, boxes((0, 0, 10, 10)))
