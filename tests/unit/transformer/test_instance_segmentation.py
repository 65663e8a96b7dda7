"""Boxes with masks: only those that are in the answer are made, each within its box."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving.decoders import Array
from serving.errors import RequestInvalid
from tests.unit.transformer.answering import directory_of
from transformer.masks import LevelMask, MixedMask, Sampling
from transformer.pictures import Geometry, Prepared
from transformer.tasks import instance_segmentation, task_of
from transformer.tasks.instance_segmentation import InstanceAnswer

LABELS = ("cup", "spoon")
SIZE = 40
TASK = task_of(
    directory_of(
        LABELS,
        task="instance_segmentation",
        input__height=SIZE,
        input__width=SIZE,
        output={"decoder": "yolov8_seg", "tensor": "rows", "prototypes": "protos"},
    )
)
BOXES = [[4, 4, 20, 12], [4, 4, 20, 13], [-6, 20, 30, 60], [0, 0, 40, 40]]
"""The second gives way to the first; the third reaches over the picture; the last is not sure enough."""
SCORES = [0.9, 0.8, 0.7, 0.1]
CENTRES = np.arange(10) * 4 + 2.0


def tensors(count: int = 4) -> dict[str, Array]:
    """The prototypes are 1 and x; the masks of boxes are what lies left of x = 10."""
    prototypes = np.stack([np.ones((10, 10)), np.tile(CENTRES, (10, 1))])
    return {
        "candidate_boxes": np.array(BOXES, np.float32)[:count].reshape(-1, 4),
        "candidate_scores": np.array(SCORES, np.float32)[:count],
        "candidate_classes": np.array([0, 0, 1, 1], np.int32)[:count],
        "candidate_coefficients": np.array([[10.0, -1.0]] * count, np.float32).reshape(-1, 2),
        "prototypes": prototypes.astype(np.float16),
    }


def decoded(geometry: Geometry | None = None, count: int = 4, **options: Any) -> InstanceAnswer:
    picture = Prepared(np.zeros((SIZE, SIZE, 3), np.uint8), geometry or Geometry(SIZE, SIZE, 1, 1, 0, 0))
    answer = TASK.decode(tensors(count), picture, TASK.options_type().overridden(options))
    assert isinstance(answer, InstanceAnswer)
    return answer


def left_of_ten(box: tuple[int, int, int, int]) -> Array:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    left, top, right, bottom = box
    mask[top:bottom, left : min(right, 10)] = 1
    return mask


def test_the_boxes_that_are_left_each_have_the_mask_in_them() -> None:
    answer = decoded()

    assert [(d.label, d.box) for d in answer.boxes.detections] == [("cup", (4, 4, 20, 12)), ("spoon", (0, 20, 30, 40))]
    assert np.array_equal(answer.masks[0].patch().whole(), left_of_ten((4, 4, 20, 12)))
    assert np.array_equal(answer.masks[1].patch().whole(), left_of_ten((0, 20, 30, 40)))


def test_masks_are_as_large_as_the_original() -> None:
    geometry = Geometry(400, 200, 0.1, 0.1, 0, 10)

    first = decoded(geometry).masks[0].patch()

    # In the input's pixels 4..10 and 4..12, of which the picture begins at y = 10.
    assert (first.width, first.height) == (400, 200)
    assert first.box == (40, 0, 100, 20)
    assert first.mask.all()


def test_a_threshold_moves_the_edge_of_a_mask() -> None:
    def width(threshold: float) -> int:
        left, _, right, _ = decoded(mask_threshold=threshold).masks[0].patch().box
        return right - left

    # The sigmoid of 10 - x is 0.01 at x = 14.6, and 0.99 at x = 5.4.
    assert [width(each) for each in (0.01, 0.5, 0.99)] == [11, 6, 1]
    with pytest.raises(RequestInvalid, match=r"mask_threshold is 0\.0: a number from 0.01 to 0.99 is expected"):
        decoded(mask_threshold=0.0)


def test_json_has_a_mask_beside_each_box_in_the_form_that_is_wished() -> None:
    first: Any = decoded().to_json()[0]
    assert first.keys() == {"label", "class_id", "score", "box", "mask"}
    assert first["mask"]["rle"]["size"] == [SIZE, SIZE]
    assert first["mask"]["rle"]["counts"].isascii()

    png: Any = decoded(mask="png").to_json()[1]["mask"]
    image = Image.open(io.BytesIO(base64.b64decode(png["png"])))
    assert np.array_equal(np.asarray(image), left_of_ten((0, 20, 30, 40)) > 0)

    outlined: Any = decoded(mask="polygons").to_json()[0]["mask"]
    [[ring]] = outlined["polygons"]
    np.testing.assert_allclose([np.min(ring, axis=0), np.max(ring, axis=0)], [[4, 4], [10, 12]], atol=0.6)

    assert "mask" not in decoded(mask="none").to_json()[0]
    with pytest.raises(RequestInvalid, match="mask is 'alpha': one of png, rle, polygons, none is expected"):
        decoded(mask="alpha")


def test_v2_gives_run_lengths_and_on_request_pictures_and_layers() -> None:
    answers = [decoded(), decoded(count=1)]

    made = {t.name: t.array for t in TASK.to_tensors(answers, [spec.name for spec in TASK.outputs])}
    extra = {t.name: t.array for t in TASK.to_tensors(answers, [spec.name for spec in TASK.extra_outputs])}

    assert made.keys() == {spec.name for spec in TASK.outputs}
    assert made["counts"].tolist() == [2, 1]
    assert made["sizes"].tolist() == [[SIZE, SIZE]] * 2
    assert made["mask_rle"].shape == (2, 2)
    assert made["mask_rle"][1, 1] == b""
    assert extra["masks"].shape == (2, 2, SIZE, SIZE)
    assert np.array_equal(extra["masks"][0, 1], left_of_ten((0, 20, 30, 40)))
    assert not extra["masks"][1, 1].any()
    assert np.asarray(Image.open(io.BytesIO(extra["mask_png"][0, 0]))).sum() == 48


def test_nothing_found_is_empty_and_well_shaped() -> None:
    answer = decoded(count=0)

    assert answer.to_json() == []
    names = [spec.name for spec in (*TASK.outputs, *TASK.extra_outputs)]
    shapes = {t.name: t.array.shape for t in TASK.to_tensors([answer], names)}
    assert shapes["boxes"] == (1, 0, 4)
    assert shapes["mask_rle"] == shapes["mask_png"] == (1, 0)
    assert shapes["masks"] == (1, 0, SIZE, SIZE)


def test_each_box_is_drawn_with_its_mask() -> None:
    marks = decoded().drawing().marks

    assert [mark.label for mark in marks] == ["cup", "spoon"]
    assert [mark.mask_box for mark in marks] == [(4, 4, 20, 12), (0, 20, 30, 40)]
    for mark, box in zip(marks, [(4, 4, 20, 12), (0, 20, 30, 40)], strict=True):
        left, top, right, bottom = box
        assert mark.mask is not None
        assert np.array_equal(mark.mask, left_of_ten(box)[top:bottom, left:right])
    assert decoded(count=0).drawing().entries[0].text == "nothing was found"


def test_only_the_prototypes_are_held_until_a_mask_is_asked_for() -> None:
    answer = decoded()

    assert all(mask.prototypes is answer.masks[0].prototypes for mask in answer.masks)


def test_a_mask_is_the_same_whatever_part_of_the_prototypes_its_box_sees() -> None:
    random = np.random.default_rng(3)
    prototypes = random.normal(size=(4, 10, 10)).astype(np.float16)
    coefficients = random.normal(size=4).astype(np.float32)
    whole = Sampling.of(Prepared(np.zeros((SIZE, SIZE, 3), np.uint8), Geometry(70, 50, 0.57, 0.8, 0, 0)), (10, 10))
    mixed = np.tensordot(coefficients, prototypes.astype(np.float32), 1)

    for box in [(0, 0, 70, 50), (20, 30, 31, 44), (69, 0, 70, 50), (5, 49, 60, 50), (3.4, 7.7, 3.6, 9.0)]:
        mask = MixedMask(coefficients, prototypes, 0.1, whole.within(box), 70, 50)
        plain = LevelMask(mixed, 0.1, whole.within(box), 70, 50)
        assert np.array_equal(mask.patch().whole(), plain.patch().whole())
        assert [len(polygon) for polygon in mask.polygons()] == [len(polygon) for polygon in plain.polygons()]


def test_a_large_mask_is_drawn_from_some_of_its_pixels() -> None:
    first = decoded(Geometry(40_000, 40_000, 0.001, 0.001, 0, 0)).drawing().marks[0]

    assert list(first.mask_box or ()) == [4000, 4000, 20_000, 12_000]
    assert first.mask is not None
    assert first.mask.shape == (500, 1000)
    assert first.mask.mean() == pytest.approx(6 / 16, abs=0.01)


def test_only_the_best_of_many_objects_are_drawn_with_their_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_segmentation, "MAX_DRAWN_MASKS", 1)

    marks = decoded().drawing().marks

    assert [mark.mask is None for mark in marks] == [False, True]


@pytest.mark.parametrize("form", ["rle", "png"])
def test_masks_of_more_pixels_than_can_be_drawn_in_time_are_refused(form: str) -> None:
    answer = decoded(Geometry(100_000, 100_000, 0.0004, 0.0004, 0, 0), mask=form)

    with pytest.raises(RequestInvalid, match=r"pixels in all; at most 2000000000 are drawn"):
        answer.to_json()
    with pytest.raises(RequestInvalid, match=r"pixels in all"):
        TASK.to_tensors([answer], [f"mask_{form}"])


def test_outlines_of_the_largest_picture_are_made() -> None:
    answer = decoded(Geometry(100_000, 100_000, 0.0004, 0.0004, 0, 0), mask="polygons")

    masks: list[Any] = [entry["mask"] for entry in answer.to_json()]
    assert all(mask["polygons"] for mask in masks)
