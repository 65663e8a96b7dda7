from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.contract import load_model_directory
from serving.decoders import DECODERS, NumpyOps
from serving.errors import ContractInvalid, PredictorFault, RequestInvalid
from serving.v2 import InferResponse, Tensor
from tests.unit.serving.directories import write_directory
from tests.unit.transformer.answering import answers_of, directory_of
from transformer.tasks import TASKS
from transformer.tasks.classification import ClassAnswer, Classification, ClassificationOptions

LABELS = ("cat", "dog", "fox", "owl")
ALL = ClassificationOptions(top_k=4, confidence_threshold=0.0)


def answer(array: Any, name: str = "logits") -> InferResponse:
    return InferResponse("m", "1", (Tensor(name, np.asarray(array)),))


def single(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


def decoded(
    response: InferResponse,
    options: ClassificationOptions = ALL,
    rows: int = 1,
    labels: tuple[str, ...] = LABELS,
    **changes: Any,
) -> list[ClassAnswer]:
    """What is answered with a contract of these changes, keys with `__` for dots."""
    found: list[ClassAnswer] = answers_of(response, options, rows, labels, **changes)
    return found


def decode(
    array: Any, options: ClassificationOptions = ALL, rows: int = 1, **changes: Any
) -> list[list[tuple[str, float]]]:
    answers = decoded(answer(np.asarray(array, dtype=np.float32)), options, rows, **changes)
    return [[(found.label, round(found.score, 6)) for found in each.classes] for each in answers]


def softmax(logits: Any) -> Any:
    return NumpyOps().softmax(logits, 1)


def labels_of(array: Any, **options: Any) -> list[str]:
    chosen = ClassificationOptions(**({"top_k": 4, "confidence_threshold": 0.0} | options))
    return [label for label, _ in decode([array], chosen, output__decoder="probabilities")[0]]


def test_logits_go_through_a_softmax_and_probabilities_do_not() -> None:
    assert decode([[0, 0, 0, 0]]) == [[(label, 0.25) for label in LABELS]]
    assert decode([[0.1, 0.7, 0, 0.2]], output__decoder="probabilities")[0][0] == ("dog", 0.7)


@given(hnp.arrays(np.float32, (3, 5), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_a_softmax_is_finite_sums_to_one_and_keeps_the_order(logits: Any) -> None:
    with np.errstate(under="ignore"):
        probabilities = softmax(logits)

    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (np.take_along_axis(probabilities, logits.argmax(axis=1)[:, None], 1) == probabilities.max(1)[:, None]).all()


def test_a_softmax_is_that_of_the_reference() -> None:
    logits = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)

    np.testing.assert_allclose(softmax(logits), [[0.09003057, 0.24472847, 0.66524096]], rtol=1e-6)


def test_the_best_classes_come_first() -> None:
    assert labels_of([0.1, 0.4, 0.2, 0.3]) == ["dog", "owl", "fox", "cat"]
    assert labels_of([0.1, 0.4, 0.2, 0.3], top_k=2) == ["dog", "owl"]


def test_more_than_all_classes_are_all_classes() -> None:
    assert len(labels_of([0.1, 0.4, 0.2, 0.3], top_k=100)) == 4


def test_classes_of_one_score_keep_the_order_of_their_numbers() -> None:
    assert labels_of([0.2, 0.4, 0.2, 0.4]) == ["dog", "owl", "cat", "fox"]
    assert labels_of([0.25] * 4, top_k=2) == ["cat", "dog"]


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 4), (0.2, 3), (0.3, 2), (0.4, 1), (0.41, 0), (1.0, 0)])
def test_classes_under_the_threshold_are_left_out_and_those_on_it_stay(threshold: float, count: int) -> None:
    assert len(labels_of([0.1, 0.4, 0.2, 0.3], confidence_threshold=threshold)) == count


def test_without_labels_a_class_is_called_by_its_number() -> None:
    assert [label for label, _ in decode([[0, 1, 2]], labels=())[0]] == ["2", "1", "0"]


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 1, 1), (2, 1, 4)])
def test_axes_of_one_do_not_matter(shape: tuple[int, ...]) -> None:
    logits = np.arange(8).reshape(shape)

    assert [row[0][0] for row in decode(logits, rows=2)] == ["owl", "owl"]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.uint8])
def test_any_numbers_are_read(dtype: Any) -> None:
    response = answer(np.array([[1, 3, 2, 0]], dtype=dtype))

    (found,) = decoded(response)

    assert [each.label for each in found.classes] == ["dog", "fox", "cat", "owl"]


FAULTS: dict[str, tuple[InferResponse, str]] = {
    "NaN": (answer([[0, np.nan, 0, 0]]), "are not finite numbers"),
    "infinity": (answer([[0, np.inf, 0, 0]]), "are not finite numbers"),
    "text": (answer(np.array([["a", "b", "c", "d"]], dtype=object)), "as BYTES: numbers are expected"),
    "two rows": (answer(np.zeros((2, 4))), "with the shape [2, 4] for 1 pictures"),
    "no rows": (answer(np.zeros((0, 4))), "with the shape [0, 4] for 1 pictures"),
    "no axis": (answer(np.float32(1)), "with the shape [] for 1 pictures"),
    "other classes": (answer(np.zeros((1, 5))), "the contract has 4 labels; the graph's output has 5 classes"),
    "no output": (InferResponse("m", "1", ()), "gave no output"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_answer_that_cannot_be_decoded_is_the_predictors_fault(name: str) -> None:
    response, expected = FAULTS[name]

    with pytest.raises(PredictorFault) as caught:
        decoded(response)

    assert expected in caught.value.message


def test_an_output_that_the_contract_names_and_nobody_gave_is_told() -> None:
    with pytest.raises(PredictorFault, match="gave no output 'scores'; it gave 'logits'"):
        decode([[0, 0, 0, 0]], output__tensor="scores")


def test_no_classes_at_all_are_the_predictors_fault() -> None:
    with pytest.raises(PredictorFault):
        decode(np.zeros((1, 0)), labels=())


def test_numbers_too_large_for_single_precision_are_the_predictors_fault() -> None:
    with pytest.raises(PredictorFault):
        decoded(answer(np.array([[1e300, 0, 0, 0]])))


def test_rows_with_fewer_classes_are_filled_up_in_the_typed_tensors() -> None:
    probabilities = [[0.9, 0.1, 0.0, 0.0], [0.4, 0.3, 0.3, 0.0], [0.1, 0.1, 0.1, 0.1]]
    options = ClassificationOptions(top_k=3, confidence_threshold=0.3)
    answers = decoded(answer(single(probabilities)), options, 3, output__decoder="probabilities")

    labels, class_ids, scores = Classification(directory_of(LABELS)).to_tensors(
        answers, ["labels", "class_ids", "scores"]
    )

    assert labels.array.tolist() == [["cat", "", ""], ["cat", "dog", "fox"], ["", "", ""]]
    assert class_ids.array.tolist() == [[0, -1, -1], [0, 1, 2], [-1, -1, -1]]
    np.testing.assert_allclose(scores.array, single([[0.9, 0, 0], [0.4, 0.3, 0.3], [0, 0, 0]]))
    assert [tensor.datatype for tensor in (labels, class_ids, scores)] == ["BYTES", "INT64", "FP32"]


def test_an_answer_in_json_names_label_number_and_score() -> None:
    (found,) = decoded(answer(single([[0, 9, 0, 0]])), ClassificationOptions(top_k=1))

    (one,) = found.to_json()
    assert one.keys() == {"label", "class_id", "score"}
    assert (one["label"], one["class_id"]) == ("dog", 1)


def test_a_decoder_that_nobody_knows_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    folder = write_directory(tmp_path, {"output.decoder": "argmax"})

    with pytest.raises(ContractInvalid, match=r"decoder is 'argmax': for classification, one of logits, probabilities"):
        load_model_directory(folder)


def test_a_task_that_nobody_knows_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    folder = write_directory(tmp_path, {"task": "clairvoyance"})

    with pytest.raises(ContractInvalid, match="'clairvoyance' is no task: one of classification"):
        load_model_directory(folder)


def test_every_task_that_a_contract_can_name_is_answered() -> None:
    assert TASKS.keys() == DECODERS.keys()


OPTIONS = ClassificationOptions(top_k=5, confidence_threshold=0.25)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, OPTIONS),
        ({"other": "ignored"}, OPTIONS),
        ({"top_k": None}, OPTIONS),
        ({"top_k": "1"}, ClassificationOptions(top_k=1, confidence_threshold=0.25)),
        ({"top_k": 1}, ClassificationOptions(top_k=1, confidence_threshold=0.25)),
        ({"top_k": 1000}, ClassificationOptions(top_k=1000, confidence_threshold=0.25)),
        ({"confidence_threshold": 0}, ClassificationOptions(top_k=5, confidence_threshold=0.0)),
        ({"confidence_threshold": 1}, ClassificationOptions(top_k=5, confidence_threshold=1.0)),
        ({"confidence_threshold": 0.5}, ClassificationOptions(top_k=5, confidence_threshold=0.5)),
        ({"confidence_threshold": "0.5"}, ClassificationOptions(top_k=5, confidence_threshold=0.5)),
        ({"top_k": 2, "confidence_threshold": "1e-3"}, ClassificationOptions(top_k=2, confidence_threshold=0.001)),
    ],
)
def test_a_request_may_change_the_options(parameters: dict[str, Any], expected: ClassificationOptions) -> None:
    assert OPTIONS.overridden(parameters) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        {"top_k": 0},
        {"top_k": -1},
        {"top_k": 1001},
        {"top_k": 1.5},
        {"top_k": True},
        {"top_k": "five"},
        {"top_k": [5]},
        {"confidence_threshold": -0.1},
        {"confidence_threshold": 1.1},
        {"confidence_threshold": "1.1"},
        {"confidence_threshold": "nan"},
        {"confidence_threshold": float("nan")},
        {"confidence_threshold": "high"},
        {"confidence_threshold": True},
        {"confidence_threshold": {}},
    ],
    ids=str,
)
def test_an_option_of_another_type_or_out_of_its_range_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid, match=next(iter(parameters))):
        OPTIONS.overridden(parameters)
