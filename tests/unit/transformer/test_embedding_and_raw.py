"""Vectors, and the model's outputs as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from serving.decoders import Array
from serving.errors import PredictorFault, RequestInvalid
from serving.v2 import InferResponse, ModelMetadata, Tensor, TensorSpec
from tests.unit.transformer.answering import answers_of, directory_of, prepared
from transformer.reading import OutputReader
from transformer.tasks import Options, task_of

RAW: dict[str, Any] = {"task": "raw", "output": {"decoder": "tensors"}}


def answer(**outputs: Array) -> InferResponse:
    return InferResponse("m", "1", tuple(Tensor(name, array) for name, array in outputs.items()))


def test_an_embedding_has_the_length_1_and_says_how_many_numbers_it_has() -> None:
    vectors = np.array([[3, 4, 0], [0, 0, -2]], np.float32)

    answers = answers_of(answer(out=vectors), Options(), rows=2, task="embedding", output={"decoder": "vector"})

    assert orjson.loads(orjson.dumps(answers[0].to_json(), option=orjson.OPT_SERIALIZE_NUMPY)) == {
        "embedding": pytest.approx([0.6, 0.8, 0]),
        "dimensions": 3,
    }
    task = task_of(directory_of(task="embedding", output={"decoder": "vector"}))
    (tensor,) = task.to_tensors(answers, ["embedding"])
    assert (tensor.name, tensor.datatype) == ("embedding", "FP32")
    np.testing.assert_allclose(tensor.array, np.array([[0.6, 0.8, 0], [0, 0, -1]]), rtol=1e-6)


def test_a_predictors_own_output_that_is_called_embedding_is_brought_to_the_length_1_too() -> None:
    decoder = directory_of(task="embedding", output={"decoder": "vector"}).decoder()
    outputs = (TensorSpec("embedding", "FP32", (-1, 3)),)
    reader = OutputReader.of(ModelMetadata("m", ("1",), "", (), outputs), decoder)

    read = reader.read(answer(embedding=np.array([[3, 4, 0]], np.float32)), 1)

    np.testing.assert_allclose(read["embedding"], [[0.6, 0.8, 0]], rtol=1e-6)


def test_raw_outputs_go_through_with_their_names_types_and_shapes() -> None:
    outputs: dict[str, Array] = {
        "scores": np.array([[1, 2], [3, 4]], np.float16),
        "ids": np.arange(12).reshape(2, 3, 2),
    }

    answers = answers_of(answer(**outputs), Options(), rows=2, **RAW)

    assert orjson.loads(orjson.dumps(answers[1].to_json(), option=orjson.OPT_SERIALIZE_NUMPY)) == {
        "scores": {"datatype": "FP16", "shape": [2], "data": [3.0, 4.0]},
        "ids": {"datatype": "INT64", "shape": [3, 2], "data": [6, 7, 8, 9, 10, 11]},
    }
    task = task_of(directory_of(**RAW))
    made = {tensor.name: tensor.array for tensor in task.to_tensors(answers, ["scores", "ids"])}
    for name, array in outputs.items():
        assert made[name].dtype == array.dtype
        assert np.array_equal(made[name], array)
    assert [tensor.name for tensor in task.to_tensors(answers, ["ids"])] == ["ids"]


def test_the_outputs_of_raw_are_those_of_the_predictor() -> None:
    specs = (TensorSpec("a", "FP32", (-1, 3)), TensorSpec("b", "INT64", (-1,)))
    metadata = ModelMetadata("m", ("1",), "", (), specs)
    directory = directory_of(**RAW)

    reader = OutputReader.of(metadata, directory.decoder())

    assert task_of(directory).specs(specs) == specs
    assert (reader.names, reader.reduced) == ({"a": "a", "b": "b"}, False)


def test_raw_outputs_of_different_sizes_are_no_one_tensor() -> None:
    task = task_of(directory_of(**RAW))
    answers = [task.decode({"a": np.zeros((size, 2), np.float32)}, prepared(), Options()) for size in (3, 4)]

    with pytest.raises(RequestInvalid, match=r"'a' has the shapes \[3, 2\], \[4, 2\] for these pictures"):
        task.to_tensors(answers, ["a"])


def test_raw_numbers_that_are_none_are_the_predictors_fault() -> None:
    with pytest.raises(PredictorFault, match="output 'a' holds values that are not finite"):
        answers_of(answer(a=np.array([[np.nan]], np.float32)), Options(), **RAW)
