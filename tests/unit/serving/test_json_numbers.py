from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import RequestInvalid, ServingError, TensorInvalid
from serving.v2 import Tensor
from serving.v2.json_data import read_json_tensor
from serving.v2.json_numbers import MIN_BYTES, NumberText, read_message
from serving.v2.rest import decode_request
from serving.v2.tensor import DATATYPES
from tests.fuzz import EXAMPLES

NUMERIC = [name for name, dtype in DATATYPES.items() if dtype.kind in "iuf"]
LONG = [7] * MIN_BYTES


def text_of(values: object) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)


def read(text: bytes, datatype: str, shape: list[int]) -> np.ndarray[Any, Any] | None:
    return NumberText(text, 0).read(DATATYPES[datatype], shape)


def body(**fields: object) -> bytes:
    tensor = {"name": "t", "datatype": "INT32", "shape": [len(LONG)], **fields}
    return orjson.dumps({"id": "é", "inputs": [tensor]})


def decoded(message: bytes) -> Tensor:
    (tensor,) = decode_request(message, {}, "m", None).inputs
    return tensor


@pytest.mark.parametrize("datatype", NUMERIC)
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("shape", [[1], [7], [1, 1, 1], [2, 3, 4], [1, 300, 200, 3], [5, 1]])
def test_regular_numbers_are_read_as_they_are(datatype: str, shape: list[int], flat: bool) -> None:  # noqa: FBT001
    dtype = DATATYPES[datatype]
    values = (np.arange(np.prod(shape)) % 120 / (1 if dtype.kind in "iu" else 8)).astype(dtype).reshape(shape)
    wide = values.astype(np.float64) if dtype == np.float16 else values

    array = read(text_of(wide.reshape(-1) if flat else wide), datatype, shape)

    assert array is not None
    assert array.dtype == dtype
    assert np.array_equal(array, values)


@pytest.mark.parametrize("text", [b"[[1, 2], [3, 4]]", b"[1, 2, 3, 4]", b"[1 ,2\n,3,4 ]"])
def test_spaces_where_programs_write_them_are_read(text: bytes) -> None:
    array = read(text, "UINT8", [2, 2])

    assert array is not None
    assert np.array_equal(array, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "text",
    [
        b"[[1,2],[3]]",
        b"[[1,2,3],[4]]",
        b"[[1,2],3,4]",
        b"[[1,2],[3,4]",
        b"[1,2,3,4,]",
        b"[1,,2,3]",
        b"[1,2,3]",
        b"[1 2,3,4,5]",
        b"[1,2,3,4],[5]",
        b"[1,2,3,256]",
        b"[1,2,3,-1]",
        b"[1,2,3,4.0]",
        b"[1,2,3,1e0]",
        b"[1,2,3,true]",
        b"[1,2,3,null]",
        b"[1,2,3,01]",
        b"[1,2,3,99999999999999999999999]",
        b"[1,2[],[3,4]]",
        b"[1[],2[3,4]]",
        b"[[1,2]3,[4]]",
        b"[[1,2],[3 ,4]]",
        b"[[1,2] ,[3,4]]",
    ],
)
def test_of_anything_else_nothing_is_read(text: bytes) -> None:
    assert read(text, "UINT8", [2, 2]) is None


@pytest.mark.parametrize(("datatype", "number"), [("INT64", -(2**63) - 1), ("UINT64", 2**64), ("INT32", 2**31)])
def test_a_number_over_the_range_is_not_read(datatype: str, number: int) -> None:
    assert read(b"[1,%d]" % number, datatype, [2]) is None


@pytest.mark.parametrize(("datatype", "number"), [("FP16", "65520"), ("FP32", "1e39"), ("FP64", "1e309")])
def test_a_number_that_would_become_infinite_is_not_read(datatype: str, number: str) -> None:
    assert read(f"[1,{number}]".encode(), datatype, [2]) is None


@pytest.mark.parametrize("shape", [[2**47], [2**20] + [1] * 27, [0], [], [2**15, 2**15, 2**15]])
def test_a_shape_that_is_not_the_texts_costs_no_memory(shape: list[int]) -> None:
    assert read(b"[[1,2],[3,4]]", "UINT8", shape) is None


@settings(max_examples=10 * EXAMPLES, deadline=None)
@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    datatype=st.sampled_from(["UINT8", "INT8", "INT64", "FP32"]),
    changes=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from([*"[], 0.-e+t", "", "[]", "],[", "true"])), max_size=3
    ),
)
def test_what_is_read_of_a_spoilt_text_is_what_json_would_have_it(
    shape: list[int], datatype: str, changes: list[tuple[int, str]]
) -> None:
    text = orjson.dumps(np.arange(np.prod(shape)).reshape(shape), option=orjson.OPT_SERIALIZE_NUMPY).decode()
    for place, change in changes:
        at = place % len(text)
        text = text[:at] + change + text[at + (place % 2) :]

    array = read(text.encode(), datatype, shape)

    if array is not None:
        plain = read_json_tensor("t", datatype, shape, orjson.loads(text)).array
        assert array.dtype == plain.dtype
        assert np.array_equal(array, plain)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"data": [*LONG[1:], 0.5]}, "TENSOR_INVALID: tensor 't' is INT32, and holds fractions"),
        ({"data": [*LONG[1:], True]}, "TENSOR_INVALID: tensor 't' is INT32, and holds booleans"),
        ({"data": LONG[1:]}, "TENSOR_INVALID: tensor 't' has 4095 values where the shape"),
        ({"data": [LONG, LONG[1:]]}, "TENSOR_INVALID: tensor 't' holds rows of different lengths"),
        ({"data": [*LONG[1:], 2**31]}, "TENSOR_INVALID: tensor 't' holds numbers over the range of INT32"),
        ({"data": LONG, "datatype": "BYTES"}, "TENSOR_INVALID: tensor 't' holds a JSON number"),
        ({"data": LONG, "datatype": "BOOL"}, "TENSOR_INVALID: tensor 't' is BOOL, and holds numbers"),
        ({"data": LONG, "parameters": {"binary_data_size": 4}}, "REQUEST_INVALID: input 't' has both data and"),
        ({"parameters": {"data": LONG}}, "REQUEST_INVALID: input 't' has the parameter 'data' of the type array"),
    ],
)
def test_a_long_list_is_refused_in_the_words_for_a_short_one(fields: dict[str, object], refusal: str) -> None:
    with pytest.raises(ServingError) as caught:
        decoded(body(**fields))

    assert str(caught.value).startswith(refusal)


@pytest.mark.parametrize("spoilt", [b"7,7,]", b"7 7]", b"7,7]]", b"7,7],[7]", b"7,7", b"[7]"])
def test_a_long_list_that_is_no_json_is_told(spoilt: bytes) -> None:
    whole = body(data=LONG)

    with pytest.raises(RequestInvalid, match=r"the body is not JSON: .* at character 8[0-9]{3}"):
        decoded(whole.replace(b"7,7]", spoilt))


def test_only_the_last_of_two_lists_under_one_key_counts() -> None:
    twice = body(data=LONG).replace(b'"data"', b'"data":' + text_of([1] * MIN_BYTES) + b',"data"')

    assert np.array_equal(decoded(twice).array, LONG)


def test_text_that_looks_like_a_list_stays_text() -> None:
    inside = b'x\\"data\\":' + text_of(LONG)
    message = read_message(b'{"id":"' + inside + b'","inputs":[]}')

    assert message == {"id": 'x"data":' + text_of(LONG).decode(), "inputs": []}


def test_a_list_that_is_no_tensors_is_left_alone() -> None:
    assert read_message(b'{"data":' + text_of(LONG) + b',"inputs":[]}') == {"data": LONG, "inputs": []}


def test_more_lists_than_a_request_may_have_are_refused_all_the_same() -> None:
    tensor = {"name": "t", "datatype": "UINT8", "shape": [len(LONG)], "data": LONG}

    with pytest.raises(RequestInvalid, match="300 inputs: at most 256"):
        decode_request(orjson.dumps({"inputs": [tensor] * 300}), {}, "m", None)


def test_a_list_of_another_length_than_the_shape_is_a_tensors_fault() -> None:
    with pytest.raises(TensorInvalid, match=r"4096 values where the shape \[3\] takes 3"):
        decoded(body(data=LONG, shape=[3]))
