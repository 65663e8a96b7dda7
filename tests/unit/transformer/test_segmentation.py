"""Segments: what is said of a picture's classes and masks, in JSON and in V2's tensors."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving.decoders import Array
from serving.errors import ContractInvalid, PredictorFault, RequestInvalid
from serving.v2 import InferResponse, Tensor
from tests.unit.transformer.answering import answers_of, directory_of, prepared
from transformer.pictures import Geometry, Prepared
from transformer.tasks import task_of
from transformer.tasks.segmentation import MaskSegmentation, Segmentation, SegmentationAnswer, SegmentationOptions

LABELS = ("background", "cat", "dog")
CLASSES = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 1, 1]], np.uint8)
"""Of a picture of 4 x 3."""
LEVELS = np.array([[[0, 0, 200, 255], [0, 0, 128, 127], [0, 0, 0, 0]], [[0] * 4] * 3, [[255] * 4] * 3], np.uint8)
CONTRACT: dict[str, Any] = {"task": "segmentation", "input__height": 3, "input__width": 4}


def segmentation(decoder: str = "class_map", labels: Sequence[str] = LABELS, **rules: Any) -> Any:
    return task_of(directory_of(tuple(labels), **CONTRACT, output={"decoder": decoder} | rules))


def classes(values: Array = CLASSES, picture: Prepared | None = None, **options: Any) -> SegmentationAnswer:
    decoded = segmentation().decode(
        {"class_map": values}, picture or prepared(3, 4), SegmentationOptions().overridden(options)
    )
    assert isinstance(decoded, SegmentationAnswer)
    return decoded


def masks(values: Array = LEVELS, labels: Sequence[str] = LABELS, **options: Any) -> SegmentationAnswer:
    decoded = segmentation("masks", labels).decode(
        {"mask_levels": values}, prepared(3, 4), SegmentationOptions().overridden(options)
    )
    assert isinstance(decoded, SegmentationAnswer)
    return decoded


def picture_of(encoded: str | bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded) if isinstance(encoded, str) else encoded)))


def tensors(answers: Sequence[SegmentationAnswer], *names: str) -> dict[str, Array]:
    task = segmentation() if answers[0].classes is not None else segmentation("masks")
    wanted = names or [spec.name for spec in task.outputs]
    made = task.to_tensors(answers, wanted)
    specs = {spec.name: spec for spec in (*task.outputs, *task.extra_outputs)}
    for tensor in made:
        assert tensor.datatype == specs[tensor.name].datatype
        assert specs[tensor.name].accepts(tensor.shape) or 0 in tensor.shape
    return {tensor.name: tensor.array for tensor in made}


def test_each_class_that_is_there_has_its_share_pixels_and_box_the_largest_first() -> None:
    assert classes(mask="none").to_json() == {
        "segments": [
            {
                "label": "cat",
                "class_id": 1,
                "share": 0.5,
                "pixels": 6,
                "box": {"xmin": 2, "ymin": 0, "xmax": 4, "ymax": 3},
            },
            {
                "label": "background",
                "class_id": 0,
                "share": 0.416667,
                "pixels": 5,
                "box": {"xmin": 0, "ymin": 0, "xmax": 2, "ymax": 3},
            },
            {
                "label": "dog",
                "class_id": 2,
                "share": 0.083333,
                "pixels": 1,
                "box": {"xmin": 1, "ymin": 2, "xmax": 2, "ymax": 3},
            },
        ]
    }


def test_a_class_map_is_one_png_whose_pixels_are_class_ids() -> None:
    answer: Any = classes().to_json()

    assert (answer["mask"]["width"], answer["mask"]["height"]) == (4, 3)
    assert np.array_equal(picture_of(answer["mask"]["png"]), CLASSES)
    assert all("mask" not in segment for segment in answer["segments"])


def test_run_lengths_and_polygons_stand_beside_their_class() -> None:
    cat: Any = classes(mask="rle").to_json()["segments"]
    assert cat[0]["mask"] == {"width": 4, "height": 3, "rle": {"size": [3, 4], "counts": "66"}}

    large = np.kron(CLASSES, np.ones((10, 10), np.uint8))
    outlined: Any = classes(large, prepared(30, 40), mask="polygons").to_json()["segments"]
    [[ring]] = outlined[0]["mask"]["polygons"]
    assert {(round(x / 10), round(y / 10)) for x, y in ring} == {(2, 0), (4, 0), (4, 3), (2, 3)}


def test_a_class_map_has_no_levels_to_show() -> None:
    with pytest.raises(RequestInvalid, match=r"mask is 'alpha': .* one of png, rle, polygons, none is expected"):
        classes(mask="alpha").to_json()


def test_points_without_a_class_are_no_segment() -> None:
    answer = classes(np.full((3, 4), 255, np.uint8))

    assert answer.segments == ()
    made = tensors([answer])
    assert made["class_ids"].shape == (1, 0)
    assert made["boxes"].shape == (1, 0, 4)
    assert made["counts"].tolist() == [0]
    assert (made["mask"] == 255).all()


def test_a_class_without_a_label_is_the_predictors_fault_and_no_labels_are_numbers() -> None:
    with pytest.raises(PredictorFault, match="found class 3; the contract has 3 labels, for the classes 0 to 2"):
        classes(CLASSES + 1)

    unlabelled = segmentation(labels=()).decode({"class_map": CLASSES}, prepared(3, 4), SegmentationOptions())
    assert [segment.label for segment in unlabelled.segments] == ["1", "0", "2"]


def test_what_a_crop_cuts_off_has_no_class() -> None:
    cropped = Prepared(np.zeros((3, 4, 3), np.uint8), Geometry(8, 3, 1, 1, -2, 0))

    answer = classes(CLASSES, cropped)

    assert answer.classes is not None
    whole = answer.classes.whole()
    assert np.array_equal(whole[:, 2:6], CLASSES)
    assert (whole[:, [0, 1, 6, 7]] == 255).all()
    assert sum(segment.share for segment in answer.segments) == pytest.approx(0.5)
    assert answer.segments[0].box == (4, 0, 6, 3)


def test_class_maps_of_several_sizes_are_filled_up_in_one_tensor() -> None:
    small = classes(CLASSES[:2, :3], prepared(2, 3))

    made = tensors([classes(), small], "mask", "sizes", "class_ids", "shares", "labels", "counts", "boxes")

    assert made["sizes"].tolist() == [[3, 4], [2, 3]]
    assert np.array_equal(made["mask"][0], CLASSES)
    assert np.array_equal(made["mask"][1, :2, :3], CLASSES[:2, :3])
    assert (made["mask"][1, 2:] == 255).all()
    assert made["class_ids"].tolist() == [[1, 0, 2], [0, 1, -1]]
    assert made["labels"].tolist() == [["cat", "background", "dog"], ["background", "cat", ""]]
    assert made["counts"].tolist() == [3, 2]
    np.testing.assert_allclose(made["shares"], [[6 / 12, 5 / 12, 1 / 12], [4 / 6, 2 / 6, 0]], rtol=1e-6)
    assert made["boxes"][0, 0].tolist() == [2, 0, 4, 3]


def test_encoded_masks_are_made_only_for_those_who_name_them() -> None:
    assert tensors([classes()]).keys() == {
        "labels", "class_ids", "shares", "boxes", "counts", "sizes", "mask",
    }  # fmt: skip

    made = tensors([classes(), classes(np.zeros((3, 4), np.uint8))], "mask_png", "mask_rle")

    assert np.array_equal(picture_of(made["mask_png"][0]), CLASSES)
    assert made["mask_rle"].tolist() == [[b"66", b"057", b"516"], [b"0<", b"", b""]]


def test_masks_that_do_not_exclude_each_other_have_one_each_and_those_of_no_pixel_are_left_out() -> None:
    answer: Any = masks().to_json()

    assert [(s["label"], s["pixels"]) for s in answer["segments"]] == [("dog", 12), ("background", 3)]
    shown = picture_of(answer["segments"][1]["mask"]["png"])
    assert shown.tolist() == [[False, False, True, True], [False, False, True, False], [False] * 4]
    assert answer["segments"][1]["box"] == {"xmin": 2, "ymin": 0, "xmax": 4, "ymax": 2}
    assert "mask" not in answer


def test_the_threshold_of_a_mask_is_the_contracts_or_the_requests() -> None:
    def background(answer: SegmentationAnswer) -> int:
        return next((s.pixels for s in answer.segments if s.label == "background"), 0)

    assert [background(masks(mask_threshold=each)) for each in (0.0, 0.49, 0.5, "0.8", 1.0)] == [12, 4, 3, 1, 1]
    strict = segmentation("masks", mask_threshold=0.9)
    assert background(strict.decode({"mask_levels": LEVELS}, prepared(3, 4), SegmentationOptions())) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mask": "jpeg"}, "mask is 'jpeg': one of png, rle, polygons, alpha, none is expected"),
        ({"mask_threshold": 1.1}, r"mask_threshold is 1\.1: a number from 0 to 1 is expected"),
        ({"mask_threshold": "half"}, "mask_threshold is 'half'"),
    ],
)
def test_an_option_that_is_none_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestInvalid, match=said):
        masks(**options)


def test_the_only_mask_of_a_model_is_answered_with_though_nothing_is_of_it() -> None:
    answer = masks(np.full((1, 3, 4), 40, np.uint8), ["foreground"], mask="alpha")

    told: Any = answer.to_json()
    [segment] = told["segments"]
    assert (segment["pixels"], segment["share"]) == (0, 0.0)
    assert segment["box"] == {"xmin": 0, "ymin": 0, "xmax": 0, "ymax": 0}
    assert (picture_of(segment["mask"]["alpha"]) == 40).all()
    assert tensors([answer], "mask_rle")["mask_rle"].tolist() == [[b"<"]]


def test_levels_are_given_softly_on_request() -> None:
    answer: Any = masks(mask="alpha").to_json()

    assert np.array_equal(picture_of(answer["segments"][1]["mask"]["alpha"]), LEVELS[0])
    made = tensors([masks()], "mask_alpha", "mask_png")
    assert np.array_equal(picture_of(made["mask_alpha"][0, 1]), LEVELS[0])
    assert picture_of(made["mask_png"][0, 1]).sum() == 3


def test_masks_are_a_tensor_with_a_layer_for_each_segment() -> None:
    few = masks(LEVELS[:2])

    made = tensors([masks(), few])

    assert made["masks"].shape == (2, 2, 3, 4)
    assert made["masks"][0, 1].tolist() == [[0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert made["masks"][1, 0].tolist() == made["masks"][0, 1].tolist()
    assert not made["masks"][1, 1].any()
    assert made["counts"].tolist() == [2, 1]


def test_no_masks_at_all_are_well_shaped() -> None:
    made = tensors([masks(np.zeros((3, 3, 4), np.uint8))])

    assert made["masks"].shape == (1, 0, 3, 4)
    assert made["labels"].shape == (1, 0)
    assert masks(np.zeros((3, 3, 4), np.uint8)).to_json() == {"segments": []}


def test_masks_that_no_message_could_carry_are_refused_before_they_are_made() -> None:
    huge = Prepared(np.zeros((3, 4, 3), np.uint8), Geometry(40_000, 30_000, 1e-4, 1e-4, 0, 0))
    answer = classes(CLASSES, huge)

    with pytest.raises(RequestInvalid, match=r"'mask' would have 1200000000 bytes .* mask_rle"):
        tensors([answer], "mask")


def test_the_decoder_chooses_between_the_two_kinds_of_answers() -> None:
    assert type(segmentation("class_map")) is Segmentation
    assert type(segmentation("logits")) is Segmentation
    assert type(segmentation("masks")) is MaskSegmentation


def test_numbers_that_are_none_are_the_predictors_fault_and_name_the_output() -> None:
    for values in (np.full((1, 3, 3, 4), np.nan, np.float32), np.full((1, 3, 3, 4), np.inf, np.float32)):
        for decoder in ("logits", "masks"):
            with pytest.raises(PredictorFault, match="output 'out' holds values that are not finite"):
                answers_of(
                    InferResponse("m", "1", (Tensor("out", values),)),
                    SegmentationOptions(),
                    **CONTRACT,
                    output={"decoder": decoder},
                )


def test_a_rule_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ContractInvalid, match=r"output.decoder 'logits' chooses between classes"):
        directory_of(**CONTRACT, output={"decoder": "logits"}).decoder().bind({"out": (1, 1, 3, 4)})


def test_a_drawing_hides_the_background_and_what_has_no_class() -> None:
    drawing = classes().drawing()

    assert drawing.class_map is not None
    assert drawing.class_map.hidden == {0, 255}
    assert [entry.text for entry in drawing.entries] == ["cat", "dog"]
    assert [np.array_equal(soft.shares, LEVELS[soft.class_id]) for soft in masks().drawing().soft_masks] == [True, True]


def test_levels_of_a_large_picture_are_drawn_small_enough_to_hold_many() -> None:
    large = Prepared(np.zeros((3, 4, 3), np.uint8), Geometry(4000, 3000, 1e-3, 1e-3, 0, 0))
    answer = segmentation("masks").decode({"mask_levels": LEVELS}, large, SegmentationOptions())

    assert {soft.shares.shape for soft in answer.drawing().soft_masks} == {(1000, 1333)}
    assert all(soft.shares.base is None for soft in answer.drawing().soft_masks)
