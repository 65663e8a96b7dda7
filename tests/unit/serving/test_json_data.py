from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from serving.errors import TensorInvalid
from serving.v2.json_data import read_json_tensor


def test_a_long_string_among_many_short_ones_costs_no_more_than_itself() -> None:
    data: list[object] = ["x" * 60_000, *["y"] * 5_000]
    tracemalloc.start()
    with pytest.raises(TensorInvalid, match="holds text"):
        read_json_tensor("pixels", "UINT8", [5_001], data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    ("datatype", "data", "names"),
    [
        ("UINT8", [1, True], "booleans"),
        ("INT64", [1, 0.5], "fractions"),
        ("FP32", [1, None], "null"),
        ("FP32", [1, {}], "objects"),
        ("BOOL", [1, True], "numbers"),
        ("BOOL", [True, "true"], "text"),
    ],
)
def test_a_value_of_another_kind_is_named(datatype: str, data: list[object], names: str) -> None:
    with pytest.raises(TensorInvalid, match=f"is {datatype}, and holds {names}"):
        read_json_tensor("t", datatype, [2], data)


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_whole_numbers_are_numbers_of_a_floating_type(datatype: str) -> None:
    assert read_json_tensor("t", datatype, [2, 1], [[1], [2.5]]).array.tolist() == [[1], [2.5]]


def test_the_largest_unsigned_number_is_kept_exactly() -> None:
    tensor = read_json_tensor("t", "UINT64", [2], [2**64 - 1, 0])
    assert np.array_equal(tensor.array, np.array([2**64 - 1, 0], np.uint64))
