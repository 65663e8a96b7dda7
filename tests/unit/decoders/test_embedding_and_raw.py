"""What is read of vectors, and that raw outputs are left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.decoders import Array
from serving.errors import ContractInvalid
from tests.unit.decoders.running import decoder_of, in_a_graph, in_numpy


def noise(*shape: int) -> Array:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def normalized(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True))


VECTORS: dict[str, tuple[dict[str, Any], Array, Array]] = {
    "a vector": ({}, noise(2, 7), normalized(noise(2, 7))),
    "a vector as it is": ({"normalize": False}, noise(2, 7), noise(2, 7)),
    "a vector of a pooled map": ({}, noise(2, 7, 1, 1), normalized(noise(2, 7, 1, 1)[:, :, 0, 0])),
    "a vector of a pooled map, channels last": ({}, noise(2, 1, 1, 7), normalized(noise(2, 1, 1, 7)[:, 0, 0])),
    "a vector in FP16": ({}, noise(2, 7).astype(np.float16), normalized(noise(2, 7).astype(np.float16))),
    "the first token": ({"pooling": "first"}, noise(2, 5, 7), normalized(noise(2, 5, 7)[:, 0])),
    "the mean of the tokens": ({"pooling": "mean"}, noise(2, 5, 7), normalized(noise(2, 5, 7).mean(axis=1))),
}


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_is_read_in_the_graph_and_in_numpy(name: str, opset: int) -> None:
    rules, output, expected = VECTORS[name]
    decoder = decoder_of("embedding", {"decoder": "vector"} | rules)

    for found in (in_numpy(decoder, out=output), in_a_graph(decoder, opset, out=output)):
        assert found["embedding"].dtype == np.float32
        np.testing.assert_allclose(found["embedding"], expected, rtol=2e-3, atol=1e-6)


def test_a_vector_of_zeros_stays_one() -> None:
    decoder = decoder_of("embedding", {"decoder": "vector"})

    for found in (
        in_numpy(decoder, out=np.zeros((1, 4), np.float32)),
        in_a_graph(decoder, out=np.zeros((1, 4), np.float32)),
    ):
        assert found["embedding"].tolist() == [[0, 0, 0, 0]]


def test_only_many_tokens_are_worth_reading_in_the_graph() -> None:
    assert not decoder_of("embedding", {"decoder": "vector"}).pays({"tensor": (None, 512)})
    assert decoder_of("embedding", {"decoder": "vector", "pooling": "mean"}).pays({"tensor": (None, 197, 768)})


@pytest.mark.parametrize(
    ("rules", "shape", "said"),
    [
        ({}, (1, 197, 768), r"output\.pooling is missing"),
        ({}, (1, 512, 7, 7), r"reads \[n, D\] or \[n, D, 1, 1\]"),
        ({"pooling": "mean"}, (1, 512), r"reads \[n, tokens, D\]"),
    ],
)
def test_a_shape_that_is_no_vector_is_refused(rules: dict[str, Any], shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ContractInvalid, match=said):
        decoder_of("embedding", {"decoder": "vector"} | rules).bind({"out": shape})


def test_raw_outputs_keep_their_names_and_numbers_and_are_not_compiled() -> None:
    decoder = decoder_of("raw", {"decoder": "tensors"})
    outputs = {"a": noise(1, 3), "b": np.arange(4).reshape(1, 2, 2)}

    found = in_numpy(decoder, **outputs)

    assert found.keys() == outputs.keys()
    assert all(found[name] is array for name, array in outputs.items())
    assert not decoder.pays({name: array.shape for name, array in outputs.items()})
