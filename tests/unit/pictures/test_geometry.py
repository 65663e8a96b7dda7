from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serving.contract import InputRules
from tests.photos import encoded, photo
from transformer.pictures import Geometry, Limits, place, prepare

from .rules import crop, letterbox, shortest_edge, stretch

RULES = [
    crop(),
    crop(height=128, width=192),
    crop(interpolation="opencv_area"),
    letterbox(),
    letterbox(align="top_left"),
    letterbox(multiple=32),
    letterbox(interpolation="opencv_linear"),
    stretch(height=96, width=160),
    stretch(interpolation="opencv_nearest"),
    shortest_edge(),
    shortest_edge(multiple=32),
    shortest_edge(multiple=32, pad=(0, 0, 0), interpolation="opencv_cubic"),
]
SIDE = st.integers(1, 5_000)


def into_input(geometry: Geometry, boxes: NDArray[np.float64]) -> NDArray[np.float32]:
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2)
    offset = np.array([geometry.offset_x, geometry.offset_y] * 2)
    return np.asarray(boxes * scale + offset, np.float32)


@settings(deadline=None, database=None)
@given(width=SIDE, height=SIDE, rules=st.sampled_from(RULES), corners=st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_box_comes_back_to_where_it_was(width: int, height: int, rules: InputRules, corners: list[float]) -> None:
    geometry = Geometry.of(width, height, place(rules, width, height))
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    boxes = np.array([[x0 * width, y0 * height, x1 * width, y1 * height]])

    back = geometry.to_original(into_input(geometry, boxes))

    assert back.dtype == np.float32
    # float32 counts pixels of the input, of which a crop of a panorama has many beyond the cut.
    tolerance = 1e-5 * max(width, height) + 1e-3
    assert np.allclose(back, boxes, atol=tolerance)


@settings(deadline=None, database=None)
@given(width=SIDE, height=SIDE, rules=st.sampled_from(RULES))
def test_a_box_around_everything_is_clipped_to_the_original(width: int, height: int, rules: InputRules) -> None:
    geometry = Geometry.of(width, height, place(rules, width, height))

    back = geometry.to_original(np.array([[-1e9, -1e9, 1e9, 1e9]], np.float32))

    assert back.tolist() == [[0, 0, width, height]]


def test_no_boxes_stay_no_boxes() -> None:
    geometry = Geometry.of(640, 480, place(letterbox(), 640, 480))

    assert geometry.to_original(np.empty((0, 4), np.float32)).shape == (0, 4)


def test_the_boxes_given_are_not_changed() -> None:
    geometry = Geometry.of(640, 480, place(letterbox(), 640, 480))
    boxes = np.full((3, 4), 100, np.float32)

    geometry.to_original(boxes)

    assert (boxes == 100).all()


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("decode", ["scaled", "exact"])
def test_a_white_square_is_found_where_the_original_has_it(rules: InputRules, decode: str) -> None:
    image = photo("china", (1280, 853)).point(lambda value: value // 8)
    image.paste((255, 255, 255), (600, 400, 720, 500))
    wanted = rules.model_copy(update={"decode": decode})

    prepared = prepare(encoded(image, "JPEG", quality=95), wanted, Limits())
    rows, columns = np.nonzero(prepared.pixels.min(axis=2) > 140)
    found = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)

    pixel = 1 / min(prepared.geometry.scale_x, prepared.geometry.scale_y)
    assert np.allclose(prepared.geometry.to_original(found), [[600, 400, 720, 500]], atol=pixel)
