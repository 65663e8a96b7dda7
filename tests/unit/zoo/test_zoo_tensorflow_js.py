"""The reader of TensorFlow.js weights."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from zoo.errors import WeightsInvalid
from zoo.tensorflow_js import read_weights

MATRIX = {"name": "w", "dtype": "float32", "shape": [2, 3]}
SCALAR = {"name": "n", "dtype": "int32", "shape": []}
NUMBERS = np.arange(6, dtype="<f4").tobytes() + np.array(7, "<i4").tobytes()


def model(*weights: Any, paths: tuple[str, ...] = ("shard",)) -> bytes:
    return json.dumps({"weightsManifest": [{"paths": paths, "weights": weights}]}).encode()


def test_arrays_follow_each_other_over_the_ends_of_files() -> None:
    files = {"shard1": NUMBERS[:10], "shard2": NUMBERS[10:]}
    arrays = read_weights(model(MATRIX, SCALAR, paths=("shard1", "shard2")), files)
    assert arrays["w"].dtype == np.float32
    assert arrays["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (arrays["n"].shape, int(arrays["n"])) == ((), 7)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(WeightsInvalid, match="are in shard2, which is not there"):
        read_weights(model(MATRIX, paths=("shard", "shard2")), {"shard": NUMBERS})


def test_weights_must_be_as_many_as_the_manifest_says() -> None:
    with pytest.raises(WeightsInvalid, match="cut short before the end of n"):
        read_weights(model(MATRIX, SCALAR), {"shard": NUMBERS[:-1]})
    with pytest.raises(WeightsInvalid, match="are 28 bytes; its manifest describes only 24"):
        read_weights(model(MATRIX), {"shard": NUMBERS})


def test_quantised_weights_are_refused_by_name() -> None:
    quantised = MATRIX | {"quantization": {"dtype": "uint8", "min": -1, "scale": 0.1}}
    with pytest.raises(WeightsInvalid, match="w is quantised, which is not read"):
        read_weights(model(quantised), {"shard": NUMBERS})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "no weightsManifest"),
        (b'{"weightsManifest": [3]}', "without paths or without weights"),
        (b'{"weightsManifest": [{"paths": [3], "weights": []}]}', "without paths or without weights"),
        (model("w"), "a weight that is not understood: w"),
        (model(MATRIX | {"dtype": "string"}), "not understood"),
        (model(MATRIX | {"shape": [2, -3]}), "not understood"),
        (model(MATRIX | {"shape": "23"}), "not understood"),
    ],
)
def test_another_manifest_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(WeightsInvalid, match=said):
        read_weights(content, {"shard": NUMBERS})
