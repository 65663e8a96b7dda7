"""Outputs that no predictor should give: a fault that says which, and never a wrong answer or an unforeseen error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from serving.contract import ModelDirectory
from serving.decoders import Array
from serving.errors import PredictorFault
from serving.v2 import InferResponse, ModelMetadata, Tensor, TensorSpec
from tests.unit.transformer.answering import directory_of, prepared
from transformer.reading import OutputReader
from transformer.tasks import Answer, task_of

LABELS = ("cat", "dog", "bird")
ROWS = 2
K = 4


def directory(task: str, labels: tuple[str, ...] = LABELS, **output: Any) -> ModelDirectory:
    return directory_of(labels, task=task, output=output)


def answered(model: ModelDirectory, outputs: Mapping[str, Array], **options: Any) -> list[Answer]:
    """What is answered to two pictures before a predictor that tells of these outputs, and gives them."""
    specs = tuple(TensorSpec(name, "FP32", (-1,) * array.ndim) for name, array in outputs.items())
    reader = OutputReader.of(ModelMetadata("m", (), "", (), specs), model.decoder())
    response = InferResponse("m", "1", tuple(Tensor(name, array) for name, array in outputs.items()))
    read = reader.read(response, ROWS)
    task = task_of(model)
    chosen = task.options_type().overridden(options)
    return [task.decode({name: a[row] for name, a in read.items()}, prepared(), chosen) for row in range(ROWS)]


FINITE = {"finite": np.ones((ROWS, 1), np.bool_)}


def candidates() -> dict[str, Array]:
    return FINITE | {
        "candidate_boxes": np.tile(np.array([1, 1, 5, 5], np.float32), (ROWS, K, 1)),
        "candidate_scores": np.tile(np.linspace(0.9, 0.6, K, dtype=np.float32), (ROWS, 1)),
        "candidate_classes": np.zeros((ROWS, K), np.int32),
    }


REDUCED: dict[str, tuple[ModelDirectory, dict[str, Array]]] = {
    "detection": (directory("detection", decoder="yolov8"), candidates()),
    "classification": (
        directory("classification", decoder="logits"),
        FINITE
        | {
            "top_scores": np.tile(np.array([0.9, 0.1], np.float32), (ROWS, 1)),
            "top_classes": np.tile(np.array([1, 0], np.int32), (ROWS, 1)),
        },
    ),
    "segmentation": (
        directory("segmentation", decoder="logits"),
        FINITE | {"class_map": np.zeros((ROWS, 9, 9), np.uint8)},
    ),
    "masks": (
        directory("segmentation", decoder="masks"),
        FINITE | {"mask_levels": np.zeros((ROWS, 3, 9, 9), np.uint8)},
    ),
    "embedding": (
        directory("embedding", (), decoder="vector", pooling="mean"),
        FINITE | {"embedding": np.ones((ROWS, 7), np.float32)},
    ),
    "instance segmentation": (
        directory("instance_segmentation", decoder="yolov8_seg", tensor="a", prototypes="b"),
        candidates()
        | {
            "candidate_coefficients": np.ones((ROWS, K, 5), np.float32),
            "prototypes": np.ones((ROWS, 5, 3, 3), np.float16),
            "finite": np.ones((ROWS, 2), np.bool_),
        },
    ),
}
"""A predictor's reduced outputs, as they should be."""

ODD: dict[str, Callable[[Array], Array]] = {
    "with an axis more": lambda array: array[..., None],
    "with an axis less": lambda array: array[..., 0],
    "without any axis": lambda array: np.array(0, array.dtype),
    "of another datatype": lambda array: array.astype(np.float64),
    "of text": lambda array: np.full(array.shape, b"x", np.object_),
    "of other rows": lambda array: array[:1],
}


@pytest.mark.parametrize("task", REDUCED)
def test_reduced_outputs_as_they_should_be_are_answered(task: str) -> None:
    assert len(answered(*REDUCED[task])) == ROWS


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(("task", "name"), [(task, name) for task, (_, found) in REDUCED.items() for name in found])
def test_a_reduced_output_of_another_form_is_a_fault_that_names_it(task: str, name: str, odd: str) -> None:
    model, outputs = REDUCED[task]

    with pytest.raises(PredictorFault, match=repr(name)):
        answered(model, outputs | {name: ODD[odd](outputs[name])})


@pytest.mark.parametrize("name", ["candidate_boxes", "candidate_scores", "candidate_classes", "candidate_coefficients"])
def test_as_many_of_each_candidate_are_expected(name: str) -> None:
    model, outputs = REDUCED["instance segmentation"]

    with pytest.raises(PredictorFault, match=r"is expected with n = 2, K = [34]"):
        answered(model, outputs | {name: outputs[name][:, :-1]})


@pytest.mark.parametrize(
    ("task", "name"), [("segmentation", "class_map"), ("masks", "mask_levels"), ("instance segmentation", "prototypes")]
)
def test_a_map_without_a_point_is_a_fault(task: str, name: str) -> None:
    model, outputs = REDUCED[task]

    with pytest.raises(PredictorFault, match=re.escape(repr(name))):
        answered(model, outputs | {name: outputs[name][..., :0]})


@pytest.mark.parametrize(
    ("rules", "shapes"),
    [
        ({"task": "segmentation", "decoder": "logits"}, {"out": (ROWS, 3, 8, 0)}),
        ({"task": "segmentation", "decoder": "logits", "channels": "last"}, {"out": (ROWS, 0, 8, 3)}),
        ({"task": "segmentation", "decoder": "class_map"}, {"out": (ROWS, 0, 16)}),
        ({"task": "segmentation", "decoder": "masks", "upsample": "nearest"}, {"out": (ROWS, 3, 0, 16)}),
        ({"task": "embedding", "decoder": "vector", "pooling": "mean"}, {"out": (ROWS, 0, 7)}),
        ({"task": "classification", "decoder": "logits"}, {"out": (ROWS, 0)}),
        (
            {"task": "detection", "decoder": "detr", "background": "none"},
            {"logits": (ROWS, 5, 0), "pred_boxes": (ROWS, 5, 4)},
        ),
        (
            {"task": "instance_segmentation", "decoder": "yolov8_seg", "tensor": "a", "prototypes": "b"},
            {"a": (ROWS, 7, 9), "b": (ROWS, 0, 3, 3)},
        ),
    ],
)
def test_an_output_with_an_empty_axis_cannot_be_read(rules: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    model = directory(labels=(), **rules)

    with pytest.raises(PredictorFault, match="cannot be read"):
        answered(model, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})


def test_no_boxes_are_an_answer_without_boxes() -> None:
    none = {"boxes": np.zeros((ROWS, 0, 4)), "scores": np.zeros((ROWS, 0)), "labels": np.zeros((ROWS, 0), np.int64)}

    answers = answered(directory("detection", decoder="rtdetr"), none)

    assert [answer.to_json() for answer in answers] == [[], []]


@pytest.mark.parametrize("class_id", [-1, 3, 2**31 - 1])
def test_a_classifiers_class_without_a_label_is_a_fault(class_id: int) -> None:
    model, outputs = REDUCED["classification"]

    with pytest.raises(PredictorFault, match=f"found class {class_id}; the contract has 3 labels"):
        answered(model, outputs | {"top_classes": np.full((ROWS, 2), class_id, np.int32)})


def test_a_class_beyond_the_range_of_its_type_does_not_become_another() -> None:
    found = {
        "boxes": np.ones((ROWS, 1, 4), np.float32),
        "scores": np.ones((ROWS, 1), np.float32),
        "labels": np.full((ROWS, 1), 2**32 + 1),
    }

    with pytest.raises(PredictorFault, match="found class 2147483647"):
        answered(directory("detection", decoder="rtdetr"), found)


@pytest.mark.parametrize("task", ["detection", "classification"])
def test_scores_over_one_are_not_passed_off_as_scores(task: str) -> None:
    model, outputs = REDUCED[task]
    name = next(name for name in outputs if name.endswith("scores"))

    with pytest.raises(PredictorFault, match=r"a score of 14\.5; scores are from 0 to 1"):
        answered(model, outputs | {name: np.full_like(outputs[name], 14.5)})


def test_logits_are_not_passed_off_as_probabilities() -> None:
    logits = np.array([[4.0, 11.0, -2.0]] * ROWS, np.float32)

    with pytest.raises(PredictorFault, match=r"score of 11; .*output\.decoder 'probabilities'"):
        answered(directory("classification", decoder="probabilities"), {"out": logits})


@pytest.mark.parametrize("task", ["detection", "classification"])
def test_scores_that_are_not_in_order_are_a_fault(task: str) -> None:
    model, outputs = REDUCED[task]
    name = next(name for name in outputs if name.endswith("scores"))

    with pytest.raises(PredictorFault, match="in order"):
        answered(model, outputs | {name: outputs[name][:, ::-1].copy()})


@pytest.mark.parametrize("edge", [1e30, 3e38, -3e38])
@pytest.mark.parametrize("unit", ["pixels", "normalized"])
def test_a_box_that_is_far_too_large_is_cut_to_the_picture(edge: float, unit: str) -> None:
    boxes = np.array([[[-edge, -edge, edge, edge]] * 2] * ROWS, np.float32)
    scores, labels = np.full((ROWS, 2), 0.5, np.float32), np.zeros((ROWS, 2), np.int64)
    model = directory("detection", decoder="rtdetr", box_unit=unit, nms={})

    first, _ = answered(model, {"boxes": boxes, "scores": scores, "labels": labels})

    whole = {"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9}
    assert [found["box"] for found in first.to_json()] == ([whole] if edge > 0 else [])
