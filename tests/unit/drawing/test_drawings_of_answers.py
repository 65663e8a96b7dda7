from __future__ import annotations

import numpy as np
import pytest

from serving.decoders import Array
from tests.unit.transformer.answering import prepared
from transformer.drawing import Entry
from transformer.masks import ClassGrid, LevelMask, MixedMask, Sampling
from transformer.pictures import Prepared
from transformer.tasks.classification import ClassAnswer, ClassScore
from transformer.tasks.detection import Detection, DetectionAnswer
from transformer.tasks.instance_segmentation import InstanceAnswer
from transformer.tasks.segmentation import Segment, SegmentationAnswer


def test_detections_are_drawn_as_boxes() -> None:
    found = Detection(41, "cup", 0.94, (167.0, 14.0, 411.0, 288.0))
    (mark,) = DetectionAnswer((found,)).drawing().marks
    assert (mark.label, mark.class_id, mark.score, mark.box) == ("cup", 41, 0.94, found.box)


def test_classes_are_drawn_as_a_list_with_bars() -> None:
    answer = ClassAnswer((ClassScore(967, "espresso", 0.9511), ClassScore(968, "cup", 0.0321)))
    assert answer.drawing().entries == (Entry("espresso", "0.9511", 0.9511), Entry("cup", "0.0321", 0.0321))


def test_an_answer_without_anything_says_so() -> None:
    assert DetectionAnswer(()).drawing().entries == (Entry("nothing was found"),)
    assert ClassAnswer(()).drawing().entries == (Entry("no class reaches the threshold"),)


def lower_half() -> tuple[Prepared, Array]:
    """A picture of 40 x 20 that lies in the model's input as it is, and a map whose lower half is full."""
    picture = prepared(20, 40)
    levels = np.zeros((20, 40), np.float32)
    levels[10:] = 255
    return picture, levels


@pytest.mark.parametrize("background", ["background", "__background__", "_background_", "Background"])
def test_a_class_map_is_drawn_without_its_background_and_with_a_legend(background: str) -> None:
    picture, levels = lower_half()
    grid = ClassGrid.of((levels > 0).astype(np.uint8) * np.uint8(8), picture)
    segments = tuple(
        Segment(class_id, label, 0.5, 400, grid.mask(class_id).box, grid.mask(class_id))
        for class_id, label in ((0, background), (8, "cat"))
    )
    drawing = SegmentationAnswer(segments, "png", 40, 20, grid).drawing()
    assert drawing.class_map is not None
    assert {0, 255} <= drawing.class_map.hidden
    assert 8 not in drawing.class_map.hidden
    assert drawing.entries == (Entry("cat", "50%", 0.5, 8),)
    assert np.unique(drawing.class_map.classes[10:]).tolist() == [8]


def test_a_mask_of_levels_is_drawn_with_its_outline_at_the_threshold() -> None:
    picture, levels = lower_half()
    mask = LevelMask(levels, 0.25 * 255, Sampling.of(picture, (20, 40)), 40, 20)
    answer = SegmentationAnswer((Segment(0, "foreground", 0.5, 400, (0, 10, 40, 20), mask),), "png", 40, 20)
    (soft,) = answer.drawing().soft_masks
    assert soft.edge == 64
    assert soft.shares.shape == (20, 40)
    assert (soft.shares[0].max(), soft.shares[19].min()) == (0, 255)


def test_an_instance_is_drawn_as_a_mask_within_its_box() -> None:
    picture, levels = lower_half()
    box = (10.0, 0.0, 30.0, 20.0)
    mask = MixedMask(np.ones(1, np.float32), levels[None], 128, Sampling.of(picture, (20, 40)).within(box), 40, 20)
    boxes = DetectionAnswer((Detection(3, "cup", 0.9, box),))
    (mark,) = InstanceAnswer(boxes, (mask,), "png", 40, 20).drawing().marks
    assert (mark.label, mark.box, mark.mask_box) == ("cup", box, (10, 0, 30, 20))
    assert mark.mask is not None
    assert np.array_equal(mark.mask, np.repeat([False, True], 10)[:, None] & np.ones(20, np.bool_))
