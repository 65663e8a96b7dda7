from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from kserve import InferResponse as SdkResponse

from serving.contract import load_model_directory
from serving.decoders import Array
from serving.decoders.candidates import BOXES, CLASSES, SCORES
from serving.errors import PredictorFault, RequestInvalid
from serving.sdk import pb
from serving.v2 import InferRequest, InferResponse, RequestedOutput, grpc, rest
from tests.unit.transformer.answering import directory_of, prepared
from transformer.pictures import Geometry, Prepared
from transformer.tasks import task_of
from transformer.tasks.detection import DetectionAnswer, DetectionOptions, ObjectDetection

LABELS = ("cat", "dog", "bird")
NAMES = tuple(spec.name for spec in ObjectDetection.outputs)


def task(labels: tuple[str, ...] = LABELS, **rules: Any) -> ObjectDetection:
    output = {"decoder": "yolov5"} | rules
    found = task_of(directory_of(labels, task="detection", output=output))
    assert isinstance(found, ObjectDetection)
    return found


def candidates(*rows: tuple[float, int, tuple[float, ...]]) -> dict[str, Array]:
    """Score, class and box of each, best first, and a row that only fills up."""
    every = [*rows, (-1.0, 0, (0, 0, 0, 0))]
    return {
        SCORES: np.array([score for score, _, _ in every], np.float32),
        CLASSES: np.array([class_id for _, class_id, _ in every], np.int32),
        BOXES: np.array([box for _, _, box in every], np.float32),
    }


def answer(tensors: dict[str, Array], picture: Prepared | None = None, **rules: Any) -> DetectionAnswer:
    options = rules.pop("options", {})
    return task(**rules).decode(tensors, picture or prepared(100, 100), DetectionOptions().overridden(options))


def found(tensors: dict[str, Array], **rules: Any) -> list[tuple[str, float]]:
    return [(d.label, round(d.score, 3)) for d in answer(tensors, **rules).detections]


APART = candidates((0.9, 0, (0, 0, 10, 10)), (0.5, 1, (20, 0, 30, 10)), (0.3, 2, (40, 0, 50, 10)))
HEAP = candidates((0.9, 0, (0, 0, 10, 10)), (0.8, 1, (0, 0, 10, 9)), (0.7, 0, (0, 0, 10, 8)))


def test_boxes_from_the_threshold_on_are_answered() -> None:
    assert found(APART) == [("cat", 0.9), ("dog", 0.5), ("bird", 0.3)]
    assert found(APART, confidence_threshold=0.5) == [("cat", 0.9), ("dog", 0.5)]
    assert found(APART, options={"confidence_threshold": 0.6}) == [("cat", 0.9)]


def test_a_class_can_have_a_threshold_of_its_own_and_a_request_changes_all() -> None:
    assert found(APART, class_thresholds={"dog": 0.6, "bird": 0.1}) == [("cat", 0.9), ("bird", 0.3)]
    assert found(APART, class_thresholds={"dog": 0.6}, options={"confidence_threshold": 0.5}) == [
        ("cat", 0.9),
        ("dog", 0.5),
    ]


def test_of_boxes_of_one_class_that_overlap_the_best_stays() -> None:
    assert found(HEAP) == [("cat", 0.9), ("dog", 0.8)]
    assert found(HEAP, nms={"class_agnostic": True}) == [("cat", 0.9)]
    assert found(HEAP, options={"class_agnostic": True}) == [("cat", 0.9)]
    assert found(HEAP, nms={"class_agnostic": True}, options={"class_agnostic": False}) == [("cat", 0.9), ("dog", 0.8)]
    assert found(HEAP, nms={"iou_threshold": 0.85}) == [("cat", 0.9), ("dog", 0.8), ("cat", 0.7)]
    assert found(HEAP, options={"iou_threshold": 0.85}) == [("cat", 0.9), ("dog", 0.8), ("cat", 0.7)]


def test_a_graph_that_has_chosen_is_not_thinned_out_again_unless_a_request_asks() -> None:
    assert len(found(HEAP, nms=None)) == 3
    assert found(HEAP, nms=None, options={"iou_threshold": 0.5}) == [("cat", 0.9), ("dog", 0.8)]


@pytest.mark.parametrize("nms", [None, {}])
def test_the_best_of_those_that_stay_are_answered_up_to_the_most(nms: object) -> None:
    assert found(APART, nms=nms, max_detections=2) == [("cat", 0.9), ("dog", 0.5)]
    assert found(APART, nms=nms, options={"max_detections": 1}) == [("cat", 0.9)]
    assert found(HEAP, max_detections=2) == [("cat", 0.9), ("dog", 0.8)]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("confidence_threshold", 1.1, "a number from 0.0 to 1.0|a number from 0 to 1"),
        ("iou_threshold", -0.1, "a number from 0.0 to 1.0|a number from 0 to 1"),
        ("max_detections", 0, "a whole number from 1 to 1000"),
        ("max_detections", 1001, "a whole number from 1 to 1000"),
        ("max_detections", True, "a whole number from 1 to 1000"),
        ("class_agnostic", "perhaps", "true or false"),
    ],
)
def test_an_option_out_of_its_range_is_refused(name: str, value: object, expected: str) -> None:
    with pytest.raises(RequestInvalid, match=rf"{name} is {value!r}: ({expected}) is expected"):
        DetectionOptions().overridden({name: value})  # type: ignore[dict-item]  # what a client may send


def test_boxes_are_in_the_pixels_of_the_original_picture_and_end_at_its_edges() -> None:
    picture = Prepared(np.zeros((100, 100, 3), np.uint8), Geometry(400, 200, 0.25, 0.25, 0, 25))
    tensors = candidates((0.9, 0, (10, 30, 60, 50)), (0.8, 1, (-5, 20, 40, 90)))

    assert [d.box for d in answer(tensors, picture).detections] == [(40, 20, 240, 100), (0, 0, 160, 200)]


def test_shares_are_of_the_models_input() -> None:
    picture = Prepared(np.zeros((50, 100, 3), np.uint8), Geometry(200, 100, 0.5, 0.5, 0, 0))
    tensors = candidates((0.9, 0, (0.1, 0.2, 0.5, 1.0)))

    assert [d.box for d in answer(tensors, picture, box_unit="normalized").detections] == [
        pytest.approx((20, 20, 100, 100))
    ]


def test_a_box_in_a_letterboxes_fill_is_none_and_hides_none() -> None:
    picture = Prepared(np.zeros((100, 100, 3), np.uint8), Geometry(100, 50, 1, 1, 0, 25))
    tensors = candidates((0.9, 0, (0, 0, 40, 25)), (0.8, 0, (0, 0, 40, 27)), (0.7, 0, (10, 10, 10, 90)))

    assert [d.box for d in answer(tensors, picture, max_detections=1).detections] == [(0, 0, 40, 2)]


@pytest.mark.parametrize("class_id", [-1, 3])
def test_a_class_that_has_no_label_is_the_predictors_fault(class_id: int) -> None:
    with pytest.raises(PredictorFault, match=f"class {class_id}; the contract has 3 labels, for the classes 0 to 2"):
        answer(candidates((0.9, class_id, (0, 0, 9, 9))))


def test_a_class_that_is_not_in_the_answer_may_be_any() -> None:
    assert found(candidates((0.1, 77, (0, 0, 9, 9)))) == []


def test_without_labels_and_in_their_gaps_a_class_is_called_by_its_number() -> None:
    tensors = candidates((0.9, 1, (0, 0, 9, 9)))

    assert found(tensors, labels=()) == [("1", 0.9)]
    assert found(tensors, labels=("cat", "", "bird")) == [("1", 0.9)]
    with pytest.raises(PredictorFault, match="class -1; the contract has classes from 0 on"):
        answer(candidates((0.9, -1, (0, 0, 9, 9))), labels=())


def test_the_answer_as_json_has_a_label_a_score_and_the_edges() -> None:
    (first, *_) = answer(candidates((0.5, 1, (1.234, 2, 3, 4.567)))).to_json()

    assert first == {
        "label": "dog",
        "class_id": 1,
        "score": 0.5,
        "box": {"xmin": 1.23, "ymin": 2.0, "xmax": 3.0, "ymax": 4.57},
    }
    assert json.dumps(first)


def test_pictures_with_fewer_boxes_are_filled_up_and_counted() -> None:
    three, one, none = answer(APART), answer(APART, max_detections=1), answer(APART, confidence_threshold=1.0)
    tensors = {tensor.name: tensor for tensor in task().to_tensors([three, one, none], NAMES)}

    assert tensors["counts"].array.tolist() == [3, 1, 0]
    assert tensors["labels"].array.tolist() == [["cat", "dog", "bird"], ["cat", "", ""], ["", "", ""]]
    assert tensors["class_ids"].array.tolist() == [[0, 1, 2], [0, -1, -1], [-1, -1, -1]]
    assert tensors["scores"].shape == (3, 3)
    assert tensors["boxes"].shape == (3, 3, 4)
    for spec in ObjectDetection.outputs:
        assert tensors[spec.name].datatype == spec.datatype
        assert len(tensors[spec.name].shape) == len(spec.shape)


def empty(rows: int) -> InferResponse:
    """The V2 answer to pictures in which nothing was found."""
    return InferResponse("m", "1", task().to_tensors([DetectionAnswer(())] * rows, NAMES), id="1")


SHAPES = {"labels": (2, 0), "class_ids": (2, 0), "scores": (2, 0), "boxes": (2, 0, 4), "counts": (2,)}


def wished(*, binary: bool) -> InferRequest:
    return InferRequest("m", (), outputs=tuple(RequestedOutput(name) for name in NAMES), binary_output=binary)


def test_the_answer_to_a_picture_in_which_nothing_was_found_is_an_empty_list() -> None:
    assert DetectionAnswer(()).to_json() == []


@pytest.mark.parametrize("binary", [False, True])
def test_an_empty_answer_over_rest_has_its_shape_for_us_for_triton_and_for_the_sdk(*, binary: bool) -> None:
    body = rest.encode_response(empty(2), wished(binary=binary))
    whole = b"".join(bytes(part) for part in body.parts)

    ours = {tensor.name: tensor.shape for tensor in rest.decode_response(whole, body.headers).outputs}
    by_triton = triton.InferResult.from_response_body(whole, header_length=body.json_length)
    by_sdk = SdkResponse.from_bytes(whole, body.json_length) if binary else SdkResponse.from_rest(json.loads(whole))

    assert ours == SHAPES
    assert {name: by_triton.as_numpy(name).shape for name in NAMES} == SHAPES
    assert {output.name: output.as_numpy().shape for output in by_sdk.outputs} == SHAPES


@pytest.mark.parametrize("binary", [False, True])
def test_an_empty_answer_over_grpc_has_its_shape_for_us_and_for_the_sdk(*, binary: bool) -> None:
    message = pb.ModelInferResponse.FromString(grpc.serialize_response(empty(2), wished(binary=binary)))

    assert {tensor.name: tensor.shape for tensor in grpc.decode_response(message).outputs} == SHAPES
    assert {output.name: output.as_numpy().shape for output in SdkResponse.from_grpc(message).outputs} == SHAPES
    assert len(message.raw_output_contents) == (len(NAMES) if binary else 0)


def test_a_detectors_contract_is_answered_by_this_task(tmp_path: Path) -> None:
    text = "apiVersion: kserve-vision/v1\ntask: detection\ninput: {height: 32, width: 64, resize: {rule: stretch}}\n"
    (tmp_path / "model.yaml").write_text(text + "output: {decoder: detr, activation: sigmoid}\n", "utf-8")

    assert isinstance(task_of(load_model_directory(tmp_path)), ObjectDetection)
