from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.contract import InputRules
from tests.photos import encoded, photo
from transformer.pictures import Limits, place, prepare

from .rules import hugging_face_size, letterbox, shortest_edge

SIDE = st.integers(1, 5_000) | st.integers(1, 65_535)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (1066, 800)),
        ((480, 640), (800, 1066)),
        ((1280, 720), (1333, 750)),
        ((800, 1200), (800, 1200)),
        ((500, 500), (800, 800)),
        ((4000, 200), (1333, 67)),
        ((60_000, 1), (1333, 1)),
        ((1, 1), (800, 800)),
    ],
)
def test_the_shorter_side_is_scaled_as_hugging_face_does(size: tuple[int, int], expected: tuple[int, int]) -> None:
    placement = place(shortest_edge(800, 1333), *size)

    assert placement.size == placement.input_size == expected
    assert (placement.left, placement.top) == (0, 0)


@settings(deadline=None, database=None)
@given(width=SIDE, height=SIDE)
def test_every_picture_is_scaled_as_hugging_face_does(width: int, height: int) -> None:
    assert place(shortest_edge(800, 1333), width, height).size == hugging_face_size(width, height, 800, 1333)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1280, 720), (640, 384, 640, 360, 0, 12)),
        ((810, 1080), (480, 640, 480, 640, 0, 0)),
        ((640, 427), (640, 448, 640, 427, 0, 10)),
        ((1000, 1000), (640, 640, 640, 640, 0, 0)),
        ((2000, 100), (640, 32, 640, 32, 0, 0)),
        ((60_000, 1), (640, 32, 640, 1, 0, 15)),
    ],
)
def test_a_letterbox_by_multiples_is_ultralytics_rectangle(
    size: tuple[int, int], expected: tuple[int, int, int, int, int, int]
) -> None:
    placement = place(letterbox(height=640, width=640, multiple=32), *size)

    assert (*placement.input_size, *placement.size, placement.left, placement.top) == expected


@pytest.mark.parametrize(
    ("size", "rounded", "padded"),
    [
        ((640, 480), (1056, 800), (1088, 800)),
        ((1280, 720), (1344, 736), (1344, 768)),
        ((4000, 200), (1344, 64), (1344, 96)),
    ],
)
def test_both_sides_are_rounded_or_padded_to_the_multiple(
    size: tuple[int, int], rounded: tuple[int, int], padded: tuple[int, int]
) -> None:
    by_rounding = place(shortest_edge(800, 1333, multiple=32), *size)
    by_padding = place(shortest_edge(800, 1333, multiple=32, pad=(0, 0, 0)), *size)

    assert by_rounding.size == by_rounding.input_size == rounded
    assert by_padding.size == place(shortest_edge(800, 1333), *size).size
    assert by_padding.input_size == padded


RULES = [
    letterbox(height=640, width=640, multiple=32),
    letterbox(height=320, width=640, multiple=64, align="top_left"),
    shortest_edge(800, 1333),
    shortest_edge(800, 1333, multiple=14),
    shortest_edge(800, 1333, multiple=32, pad=(0, 0, 0)),
    shortest_edge(10, 20, multiple=64),
]


@settings(deadline=None, database=None)
@given(width=SIDE, height=SIDE, rules=st.sampled_from(RULES))
def test_every_size_is_of_whole_multiples_and_within_the_largest(width: int, height: int, rules: InputRules) -> None:
    placement = place(rules, width, height)

    multiple = getattr(rules.resize, "multiple", 1)
    assert rules.follows_picture
    assert all(side >= 1 and side % multiple == 0 for side in placement.input_size)
    assert max(placement.input_size) <= max(rules.largest_size)
    assert placement.input_width * placement.input_height <= np.prod(rules.largest_size)
    assert placement.left >= 0
    assert placement.left + placement.width <= placement.input_width
    assert placement.top >= 0
    assert placement.top + placement.height <= placement.input_height


def test_the_padding_is_at_the_right_and_at_the_bottom() -> None:
    wanted = shortest_edge(100, 150, multiple=64, pad=(7, 8, 9))

    pixels = prepare(encoded(photo("coffee"), "PNG"), wanted, Limits()).pixels

    assert pixels.shape == (128, 192, 3)
    assert (pixels[100:] == (7, 8, 9)).all()
    assert (pixels[:, 150:] == (7, 8, 9)).all()
    assert not (pixels[:100, :150] == (7, 8, 9)).all(axis=2).any()
