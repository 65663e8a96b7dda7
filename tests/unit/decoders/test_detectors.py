"""What the detectors' decoders take, what they refuse, and what their rules change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from serving.decoders import DECODERS, Array, NumpyOps, Shape, decoder_type
from serving.decoders.candidates import BOXES, CLASSES, SCORES
from serving.errors import ContractInvalid
from tests.unit.decoders.examples import EXAMPLES, SIZE, Example

OPS = NumpyOps()


def read(example: Example, **rules: Any) -> dict[str, Array]:
    """What is read of the first picture."""
    decoder = example.bound(**rules)
    names = decoder.bind({name: array.shape for name, array in example.outputs.items()})
    found = decoder.read(OPS, {part: example.outputs[name] for part, name in names.items()})
    return {name: array[0] for name, array in found.items()}


def check(decoder: str, labels: int, size: tuple[int, int] | None = SIZE, /, **given: Any) -> None:
    """Hold shapes against a decoder; the rules are those whose values are no shapes."""
    kind = decoder_type("detection", decoder)
    rules = {key: value for key, value in given.items() if not isinstance(value, tuple)}
    shapes: dict[str, Shape | None] = {key: value for key, value in given.items() if isinstance(value, tuple)}
    kind(kind.rules_type.model_validate({"decoder": decoder} | rules), size, labels).bind(shapes)


def test_every_decoder_has_an_example() -> None:
    assert {example.decoder for example in EXAMPLES.values()} == DECODERS["detection"].keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_shapes_of_which_nothing_is_known_but_the_rank_fit(name: str) -> None:
    example = EXAMPLES[name]
    example.bound(labels=7).bind({output: (None,) * array.ndim for output, array in example.outputs.items()})


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_read_is_float32_boxes_and_scores_and_int32_classes_best_first(name: str) -> None:
    found = read(EXAMPLES[name])
    count = len(found[SCORES])
    assert (found[BOXES].shape, found[CLASSES].shape) == ((count, 4), (count,))
    assert [found[name].dtype.name for name in (BOXES, SCORES, CLASSES)] == ["float32", "float32", "int32"]
    assert (np.diff(found[SCORES]) <= 0).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("yolov5", 3, {"o": (1, 40, 7)}), "3 labels; the graph's 7 columns are the 4 of the box .*decoder to yolov8"),
        (("yolov5", 3, {"o": (1, 40, 9)}), "the contract has 3 labels; the graph's output has 4 classes"),
        (("yolov5", 0, {"o": (1, 84, 8400)}), r"reads \[n, N, 5 \+ classes\]; .* looks turned"),
        (("yolov5", 80, {"o": (1, 84, 8400)}), r"reads \[n, N, 5 \+ classes\]; .* looks turned"),
        (("yolov5", 0, {"o": (1, 40, 5)}), "reads 5 numbers and one for each class; the graph's output has 5"),
        (("yolov5", 0, {"o": (40, 8)}), r"reads \[n, N, 5 \+ classes\]; the graph's output has \[40, 8\]"),
        (("yolov5", 0, {"a": (1, 40, 8), "b": (1, 2)}), "the outputs 'a', 'b': output.tensor must name one of them"),
        (("yolov8", 3, {"o": (1, 8, 40)}), "8 columns are an objectness more .*decoder to yolov5"),
        (("yolov8", 3, {"o": (1, 40, 7)}), "looks turned: set output.transposed to true"),
        (("yolov8", 3, {"o": (1, 7, 40), "transposed": True}), "looks turned: set output.transposed to false"),
        (("yolov8", 0, {"o": (1, 8400, 84)}), "looks turned: set output.transposed to true"),
        (("yolov8", 0, {"o": (1, 84, 8400), "transposed": True}), "looks turned: set output.transposed to false"),
        (("yolov8", 5, {"o": (1, 8400, 84)}), "the contract has 5 labels; the graph's output has 8396 classes"),
        (("yolov8", 0, {"o": (1, 4, 40)}), "reads 4 numbers and one for each class; the graph's output has 4"),
        (("yolov10", 0, {"o": (1, 300, 7)}), r"reads \[n, N, 6\]; the graph's output has \[1, 300, 7\]"),
        (("yolov10", 0, {"o": (40, 6)}), r"reads \[n, N, 6\]; the graph's output has \[40, 6\]"),
        (("yolov7_end2end", 0, {"o": (1, 40, 7)}), r"reads \[M, 7\]; the graph's output has \[1, 40, 7\]"),
        (("yolox", 3, {"o": (1, 41, 8)}), "an input of 32x64 has 42 cells with output.strides .*; .* has 41 rows"),
        (("yolox", 3, {"o": (1, 42, 8), "strides": [8, 24]}), r"32x64 are no multiples of output.strides, \[8, 24\]"),
        (("yolox", 3, None, {"o": (1, 42, 8)}), "needs an input of one size .* output.decoded to true"),
        (
            ("ssd", 3, {"boxes": (1, 9, 4), "scores": (1, 9, 3)}),
            "3 labels; the graph's output has 2 classes",
        ),
        (
            ("ssd", 3, {"boxes": (1, 9, 4), "scores": (1, 8, 4)}),
            "the graph's outputs have 9 and 8 boxes",
        ),
        (("ssd", 0, {"boxes": (1, 9, 3, 4), "scores": (1, 9, 4)}), r"output 'boxes' has \[1, 9, 3, 4\]"),
        (("ssd", 0, {"b": (1, 9, 4), "scores": (1, 9, 4)}), "output.boxes is 'boxes'; the graph has the outputs 'b'"),
        (
            ("tensorflow", 0, {"detection_boxes": (1, 9, 4), "detection_scores": (1, 9), "detection_classes": (1, 9)}),
            "output.num_detections is 'num_detections'; the graph has the outputs",
        ),
        (
            ("detr", 3, {"logits": (1, 9, 3), "pred_boxes": (1, 9, 4)}),
            "3 labels; the graph's output has 2 classes",
        ),
        (
            ("detr", 3, {"logits": (1, 9, 4), "pred_boxes": (1, 9, 4), "activation": "sigmoid"}),
            "3 labels; the graph's output has 4 classes",
        ),
        (
            ("rtdetr", 3, {"labels": (1, 9), "boxes": (1, 9, 4), "scores": (1, 9, 3)}),
            r"output 'scores' has \[1, 9, 3\]",
        ),
        (("paddle_detection", 0, {"o": (1, 40, 6)}), r"reads \[M, 6\]; the graph's output has \[1, 40, 6\]"),
        (("mmdeploy", 3, {"dets": (1, 9, 4), "labels": (1, 9)}), r"reads \[n, N, 5\]"),
        (("mmdeploy", 3, {"dets": (1, 9, 5), "labels": (1, 8)}), "the graph's outputs have 9 and 8 boxes"),
        (("torchvision", 3, {"labels": (9,), "boxes": (1, 9, 4), "scores": (9,)}), r"reads \[M, 4\]"),
        (
            ("onnx_nms", 3, {"boxes": (1, 9, 4), "scores": (1, 9, 3), "selected_indices": (None, 3)}),
            "the graph's outputs have 9 and 3 boxes",
        ),
        (
            ("onnx_nms", 3, {"boxes": (1, 9, 4), "scores": (1, 3, 9), "selected_indices": (None, 7)}),
            r"reads \[M, 3\] or \[1, M, 3\]; the graph's output 'selected_indices' has \[\?, 7\]",
        ),
    ],
)
def test_outputs_that_do_not_fit_are_refused_with_what_would(given: tuple[Any, ...], said: str) -> None:
    *positional, keywords = given
    with pytest.raises(ContractInvalid, match=said):
        check(*positional, **keywords)


@pytest.mark.parametrize(
    "given",
    [
        ("yolov8", 3, {"o": (1, 7, 7)}),
        ("yolov8", 365, {"o": (1, 369, 84)}),
        ("yolov8", 0, {"o": (None, 84, None)}),
        ("yolov5", 80, {"o": (1, 75, 85)}),
        ("yolox", 3, None, {"o": (1, 42, 8), "decoded": True}),
        ("ssd", 3, {"boxes": (1, 9, 1, 4), "scores": (1, 9, 3), "background": "none"}),
        ("detr", 3, {"logits": (1, 9, 4), "pred_boxes": (1, 9, 4), "activation": "sigmoid", "background": "last"}),
    ],
)
def test_outputs_that_fit_are_taken(given: tuple[Any, ...]) -> None:
    *positional, keywords = given
    check(*positional, **keywords)


@pytest.mark.parametrize("decoder", ["tensorflow", "torchvision"])
@pytest.mark.parametrize("first", ["", "background", "__background__", "???"])
def test_labels_that_begin_with_the_background_go_by_the_graphs_own_numbers(decoder: str, first: str) -> None:
    rules_type = decoder_type("detection", decoder).rules_type
    labels = (first, "person", "bicycle")
    with pytest.raises(ContractInvalid, match=r"set output\.first_class to 0, or begin the labels with class 1's"):
        rules_type.model_validate({"decoder": decoder}).check_labels(labels)
    rules_type.model_validate({"decoder": decoder, "first_class": 0}).check_labels(labels)
    rules_type.model_validate({"decoder": decoder}).check_labels(labels[1:])


def test_a_threshold_of_a_label_that_there_is_not_is_refused() -> None:
    rules = EXAMPLES["tensorflow"].bound(class_thresholds={"dog": 0.5}).rules
    with pytest.raises(ContractInvalid, match=r"output\.class_thresholds has 'dog', which is none of the labels"):
        rules.check_labels(("cat",))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("confidence_threshold", 1.5),
        ("class_thresholds", {"cat": -0.1}),
        ("max_detections", 0),
        ("max_detections", 1001),
        ("candidates", 0),
        ("candidates", 1001),
        ("nms", {"iou_threshold": 1.01}),
        ("box_unit", "metres"),
    ],
)
def test_rules_out_of_range_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        decoder_type("detection", "yolov5").rules_type.model_validate({"decoder": "yolov5", key: value})


def test_the_best_class_of_a_box_counts_with_its_objectness() -> None:
    rows = np.array([[[8, 6, 4, 2, 0.5, 0.1, 0.9, 0.2], [5, 5, 2, 2, 0.9, 0.8, 0, 0]]], np.float32)
    found = read(Example("yolov5", {"o": rows}))
    np.testing.assert_allclose(found[SCORES], [0.72, 0.45])
    assert found[CLASSES].tolist() == [0, 1]
    assert found[BOXES].tolist() == [[4, 4, 6, 6], [6, 5, 10, 7]]


def test_a_cell_of_yolox_is_its_place_times_its_stride() -> None:
    rows = np.zeros((1, 42, 8), np.float32)
    rows[0, 9, 4:6] = 1  # the second cell of the second row of 8 x 4
    rows[0, 41, :5] = (0.5, -0.5, np.log(2), 0, 0.9)  # the last of 2 x 1 cells of 32 pixels
    rows[0, 41, 7] = 1
    found = read(Example("yolox", {"o": rows}))
    assert found[CLASSES][:2].tolist() == [0, 2]
    np.testing.assert_allclose(found[BOXES][:2], [[4, 4, 12, 12], [16, -32, 80, 0]], atol=1e-5)


def _ssd(scores: list[list[float]], **rules: Any) -> Example:
    boxes = np.array([[[0.1, 0.2, 0.3, 0.4]] * len(scores)], np.float32)
    return Example("ssd", {"boxes": boxes, "scores": np.array([scores], np.float32)}, rules)


def test_the_background_is_no_class_wherever_it_stands() -> None:
    first, last = _ssd([[0.9, 0.1, 0.2, 0.3]]), _ssd([[0.1, 0.2, 0.3, 0.9]], background="last")
    for example in (first, last):
        found = read(example)
        np.testing.assert_allclose(found[SCORES], [0.3, 0.2, 0.1])
        assert found[CLASSES].tolist() == [2, 1, 0]
        np.testing.assert_allclose(found[BOXES], [[0.2, 0.1, 0.4, 0.3]] * 3)


def test_every_pair_of_a_box_and_a_class_is_a_candidate() -> None:
    scores = [[0.0, 0.1, 0.8, 0.3], [0.0, 0.4, 0.2, 0.7]]
    outputs = {"boxes": np.array([[[0, 0, 1, 1], [0, 0, 2, 2]]], np.float32), "scores": np.array([scores], np.float32)}
    found = read(Example("ssd", outputs))
    np.testing.assert_allclose(found[SCORES], [0.8, 0.7, 0.4, 0.3, 0.2, 0.1])
    assert found[CLASSES].tolist() == [1, 2, 0, 2, 1, 0]
    assert found[BOXES][:, 2].tolist() == [1, 2, 2, 1, 2, 1]


def test_a_box_of_one_label_is_its_best_class_only() -> None:
    found = read(_ssd([[0.9, 0.1, 0.2, 0.3], [0, 0.4, 0.3, 0]], multi_label=False))
    np.testing.assert_allclose(found[SCORES], [0.4, 0.3])
    assert found[CLASSES].tolist() == [0, 2]


def test_a_softmax_is_over_the_background_too() -> None:
    found = read(_ssd([[np.log(5), np.log(1), np.log(3), np.log(1)]], activation="softmax"))
    np.testing.assert_allclose(found[SCORES], [0.3, 0.1, 0.1], rtol=1e-6)


def test_a_sigmoid_takes_each_number_by_itself() -> None:
    found = read(_ssd([[9, 0, np.log(3), -200]], activation="sigmoid"))
    np.testing.assert_allclose(found[SCORES], [0.75, 0.5, 0], atol=1e-6)


def test_rows_beyond_the_count_have_no_score() -> None:
    found = read(EXAMPLES["tensorflow"])
    scores = EXAMPLES["tensorflow"].outputs["detection_scores"][0]
    assert found[SCORES][:4].tolist() == scores[:4].tolist()
    assert (found[SCORES][4:] < 0).all()


@pytest.mark.parametrize("name", ["tensorflow", "torchvision"])
def test_class_ids_count_from_0_unless_the_graphs_own_are_wanted(name: str) -> None:
    from_0, own = read(EXAMPLES[name]), read(EXAMPLES[name], first_class=0)
    real = from_0[SCORES] >= 0
    assert (own[CLASSES][real] == from_0[CLASSES][real] + 1).all()


@pytest.mark.parametrize("name", ["onnx_nms", "onnx_nms filled up"])
def test_chosen_boxes_have_the_score_of_their_class(name: str) -> None:
    outputs = EXAMPLES[name].outputs
    found = read(EXAMPLES[name], box_format="corners")
    wanted = sorted(
        ((float(outputs["scores"][0, c, b]), c, b) for c, b in ((1, 29), (0, 3), (2, 3), (1, 0))), reverse=True
    )
    np.testing.assert_allclose(found[SCORES][:4], [score for score, _, _ in wanted])
    assert found[CLASSES][:4].tolist() == [class_id for _, class_id, _ in wanted]
    assert (found[BOXES][:4] == outputs["boxes"][0, [box for _, _, box in wanted]]).all()
    assert (found[SCORES][4:] == -1).all()


def test_a_chosen_box_that_there_is_not_is_refused() -> None:
    outputs = dict(EXAMPLES["onnx_nms"].outputs) | {"selected_indices": np.array([[0, 0, 300]])}
    with pytest.raises(ContractInvalid, match="names a row that there is not"):
        read(Example("onnx_nms", outputs))


@pytest.mark.parametrize(
    ("box_format", "numbers"),
    [
        ("corners", (2, 4, 6, 10)),
        ("corners_yx", (4, 2, 10, 6)),
        ("center", (4, 7, 4, 6)),
        ("corner_size", (2, 4, 4, 6)),
    ],
)
def test_boxes_of_every_format_become_corners(box_format: str, numbers: tuple[float, ...]) -> None:
    outputs = {"boxes": np.array([[numbers]], np.float32), "scores": np.array([[[0, 1, 0, 0]]], np.float32)}
    assert read(Example("ssd", outputs), box_format=box_format)[BOXES][0].tolist() == [2, 4, 6, 10]
