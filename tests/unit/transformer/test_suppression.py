from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.decoders import Array
from transformer.tasks.suppression import suppress


def one_by_one(boxes: Array, classes: Array | None, iou_threshold: float) -> list[int]:
    """Every box against every better one that stays, in the words of the definition."""
    stay: list[int] = []
    for place, (left, top, right, bottom) in enumerate(boxes):
        for better in stay:
            if classes is not None and classes[better] != classes[place]:
                continue
            other = boxes[better]
            width = max(min(right, other[2]) - max(left, other[0]), np.float32(0))
            height = max(min(bottom, other[3]) - max(top, other[1]), np.float32(0))
            area = max(right - left, np.float32(0)) * max(bottom - top, np.float32(0))
            other_area = max(other[2] - other[0], np.float32(0)) * max(other[3] - other[1], np.float32(0))
            common = width * height
            if common > np.float32(iou_threshold) * (area + other_area - common):
                break
        else:
            stay.append(place)
    return stay


def heap(count: int, spread: float, seed: int = 0) -> tuple[Array, Array]:
    """Boxes that overlap the more the less they are spread, and their classes."""
    random = np.random.default_rng(seed)
    corners, sizes = random.uniform(0, spread, (count, 2)), random.uniform(0, 90, (count, 2))
    return np.concatenate([corners, corners + sizes], axis=1).astype(np.float32), random.integers(0, 3, count)


EDGES = st.integers(-4, 20).map(float)
BOXES = st.lists(st.tuples(EDGES, EDGES, EDGES, EDGES), max_size=90)


@settings(max_examples=200, deadline=None)
@given(BOXES, st.sampled_from([0.0, 0.25, 0.45, 0.5, 1.0]), st.sampled_from([None, 1, 3]), st.integers(1, 100))
def test_the_boxes_that_stay_are_those_of_the_definition(
    corners: list[tuple[float, ...]], iou_threshold: float, kinds: int | None, limit: int
) -> None:
    boxes = np.array(corners, np.float32).reshape(-1, 4)
    classes = None if kinds is None else np.arange(len(boxes)) % kinds

    assert suppress(boxes, classes, iou_threshold, limit).tolist() == one_by_one(boxes, classes, iou_threshold)[:limit]


@pytest.mark.parametrize("spread", [10, 100, 1000])
def test_many_boxes_are_no_other_case_than_few(spread: float) -> None:
    boxes, classes = heap(300, spread)

    for each in (classes, None):
        assert suppress(boxes, each, 0.45, 1000).tolist() == one_by_one(boxes, each, 0.45)


def test_a_box_gives_way_only_to_its_own_class_unless_classes_do_not_matter() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8]], np.float32)

    assert suppress(boxes, np.array([1, 2, 1]), 0.5, 9).tolist() == [0, 1]
    assert suppress(boxes, None, 0.5, 9).tolist() == [0]


def test_a_box_that_overlaps_by_just_the_threshold_stays() -> None:
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 2]], np.float32)

    assert suppress(boxes, None, 0.5, 9).tolist() == [0, 1]
    assert suppress(boxes, None, 0.49, 9).tolist() == [0]


def test_nothing_is_left_of_nothing() -> None:
    assert suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), 0.5, 9).tolist() == []
