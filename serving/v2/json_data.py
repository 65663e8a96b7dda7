"""Tensor data as JSON: read without a silent change of any value, written by orjson from the array's own memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.errors import RequestInvalid, TensorInvalid
from serving.v2.json_fields import json_type
from serving.v2.tensor import Array, Tensor, check_shape, dtype_of


def read_json_tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> Tensor:
    """Read JSON data, flat or nested, without a silent change of any value.

    Raises:
        TensorInvalid: the datatype is unknown, or the values are not of it, or not as many as the shape holds.
    """
    dtype = dtype_of(datatype, name)
    count = check_shape(shape, name)
    where = f"tensor {name!r}"
    array = _strings(data, where) if datatype == "BYTES" else _numbers(data, datatype, dtype, where)
    if array.size != count:
        raise TensorInvalid(f"{where} has {array.size} values where the shape {shape} takes {count}", input=name)
    return Tensor(name, array.reshape(shape))


def json_data(tensor: Tensor) -> Array | list[str]:
    """The flat values. A NaN or an infinity becomes null, since JSON has neither."""
    if tensor.array.dtype.kind in "SUO":
        return [_text(element, tensor.name) for element in tensor.array.flat]
    flat = np.ascontiguousarray(tensor.array).reshape(-1)
    return flat.astype(np.float32) if flat.dtype == np.float16 else flat


def _text(element: object, name: str) -> str:
    if not isinstance(element, bytes):
        return str(element)
    try:
        return element.decode()
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"output {name!r} holds bytes that are no text: ask for it with binary_data") from error


def _strings(data: list[Any], where: str) -> Array:
    """Flatten nested lists of strings by hand: NumPy would pad every string to the longest one."""
    level = data
    while level and isinstance(level[0], list):
        if any(not isinstance(row, list) or len(row) != len(level[0]) for row in level):
            raise TensorInvalid(f"{where} holds rows of different lengths")
        level = [value for row in level for value in row]
    for value in level:
        if not isinstance(value, str):
            raise TensorInvalid(f"{where} holds a JSON {json_type(value)}: BYTES are strings in JSON")
    array = np.empty(len(level), dtype=np.object_)
    array[:] = level
    return array


def _numbers(data: list[Any], datatype: str, dtype: np.dtype[Any], where: str) -> Array:
    """Read the values in NumPy's own type first, so that text, fractions and overflows show before they are cast."""
    try:
        array: Array = np.array(data)
    except (ValueError, OverflowError) as error:
        raise TensorInvalid(f"{where} holds rows of different lengths, or values that are no numbers") from error
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind not in "biuf":
        raise TensorInvalid(f"{where} holds values that are no {datatype}: only numbers or true and false are expected")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if array.dtype.kind in "bf" or array.min() < limits.min or array.max() > limits.max:
            raise TensorInvalid(
                f"{where} holds values that are no {datatype}: whole numbers {limits.min} to {limits.max} are expected"
            )
    if dtype.kind == "b" and (array.dtype.kind == "f" or array.min() < 0 or array.max() > 1):
        raise TensorInvalid(f"{where} holds values that are no BOOL: true and false are expected")
    with np.errstate(over="ignore"):
        return array.astype(dtype, copy=False)
