from __future__ import annotations

import numpy as np
import pytest

from transformer.drawing import ClassMap, Drawing, Mark, SoftMask
from transformer.drawing.masks import TINT
from transformer.drawing.palette import color_of

from .pictures import changed, has_color, photo_png, pixels, plain_png

GREY = (90, 90, 90)


def classes_with(class_id: int, size: tuple[int, int] = (480, 640)) -> ClassMap:
    """A square of one class in the middle of class 0, which is not shown."""
    height, width = size
    classes = np.zeros(size, np.uint8)
    classes[height // 4 : height // 2, width // 4 : width // 2] = class_id
    return ClassMap(classes, frozenset({0}))


def test_a_class_is_tinted_and_the_picture_is_seen_through_it() -> None:
    drawn = pixels(plain_png(GREY), Drawing(class_map=classes_with(3)))
    expected = np.array(GREY) * (1 - TINT) + np.array(color_of(3)) * TINT
    assert drawn[180, 240] == pytest.approx(expected, abs=1)


def test_a_class_has_an_outline_of_its_color() -> None:
    drawn = has_color(pixels(plain_png(GREY), Drawing(class_map=classes_with(3))), color_of(3))
    assert drawn[180, [160, 161, 318, 319]].all()
    assert not drawn[180, 162:318].any()


def test_a_hidden_class_leaves_the_picture_as_it_is() -> None:
    differs = changed(photo_png("coffee", (640, 480)), Drawing(class_map=classes_with(3)))
    rows, columns = np.nonzero(differs)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (119, 241, 159, 321)


def test_a_class_map_of_another_resolution_covers_the_same_part() -> None:
    picture = photo_png("coffee", (640, 480))
    fine, coarse = (pixels(picture, Drawing(class_map=classes_with(3, size))) for size in ((480, 640), (48, 64)))
    assert np.array_equal(fine, coarse)


def test_every_class_of_a_map_is_painted() -> None:
    columns = np.arange(256, dtype=np.uint8).repeat(5)
    drawn = pixels(plain_png(GREY, (1280, 480)), Drawing(class_map=ClassMap(np.tile(columns, (480, 1)))))[200:201]
    for class_id in range(256):
        assert has_color(drawn[:, 5 * class_id : 5 * class_id + 5], color_of(class_id)).any()


def test_a_soft_mask_is_the_stronger_the_larger_its_share() -> None:
    shares = np.tile(np.linspace(0, 255, 640).astype(np.uint8), (480, 1))
    drawn = pixels(plain_png((0, 0, 0)), Drawing(soft_masks=(SoftMask(shares, 3),)))[200, :, 0].astype(int)
    flat = np.delete(drawn, np.s_[300:340])  # the outline
    assert (np.diff(flat) >= 0).all()
    assert flat[0] == 0
    assert flat[-1] == pytest.approx(color_of(3)[0] * TINT, abs=1)


def test_a_mask_without_a_box_gets_its_label_above_it() -> None:
    mask = np.zeros((480, 640), np.bool_)
    mask[200:300, 250:400] = True
    differs = changed(photo_png("coffee", (640, 480)), Drawing(marks=(Mark("cup", 2, 0.9, None, mask),)))
    rows, columns = np.nonzero(differs)
    assert (columns.min(), columns.max(), rows.max()) == (249, 400, 300)
    assert 170 <= rows.min() <= 185
    assert differs[250, 255:395].all()


def test_a_mask_of_a_part_of_the_picture_lies_there() -> None:
    whole = np.zeros((480, 640), np.bool_)
    whole[200:300, 250:400] = True
    whole[240:260, 300:350] = False
    part = whole[180:320, 200:450]
    picture = photo_png("coffee", (640, 480))
    drawn = [
        pixels(picture, Drawing(marks=(Mark("cup", 2, 0.9, None, mask, box),)))
        for mask, box in ((whole, None), (part, (200, 180, 450, 320)), (whole[200:300, 250:400], (250, 200, 400, 300)))
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], drawn[2])


def test_the_label_of_a_mask_with_a_box_stands_at_the_box() -> None:
    mask = np.zeros((480, 640), np.bool_)
    mask[200:300, 250:400] = True
    differs = changed(
        photo_png("coffee", (640, 480)), Drawing(marks=(Mark("cup", 2, 0.9, (240, 100, 410, 310), mask),))
    )
    assert np.nonzero(differs)[0].min() < 100


def test_the_outline_of_a_soft_mask_is_at_its_edge() -> None:
    shares = np.tile(np.linspace(0, 255, 640).astype(np.uint8), (480, 1))
    for edge in (64, 200):
        drawn = pixels(plain_png((0, 0, 0)), Drawing(soft_masks=(SoftMask(shares, 3, edge),)))
        (columns,) = np.nonzero(has_color(drawn, color_of(3))[200])
        assert columns.min() == pytest.approx(edge / 255 * 640, abs=3)


def test_a_mask_without_a_pixel_is_still_a_box() -> None:
    for nothing in (np.zeros((480, 640), np.bool_), np.zeros((0, 0), np.bool_)):
        mark = Mark("cup", 2, 0.9, (200, 150, 400, 350), nothing)
        assert changed(photo_png("coffee", (640, 480)), Drawing(marks=(mark,))).any()


def test_an_instance_does_not_hide_the_one_below() -> None:
    left, right = np.zeros((2, 480, 640), np.bool_)
    left[100:300, 100:300] = True
    right[100:300, 200:400] = True
    marks = (Mark("one", 1, 0.9, None, left), Mark("two", 2, 0.8, None, right))
    drawn = pixels(plain_png(GREY), Drawing(marks=marks))
    assert len({tuple(map(int, drawn[200, column])) for column in (150, 250, 350, 500)}) == 4
