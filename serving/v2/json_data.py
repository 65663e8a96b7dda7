"""Tensor data as JSON: read without a silent change of any value, written by orjson from the array's own memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np

from serving.errors import RequestInvalid, TensorInvalid
from serving.v2.json_fields import json_type
from serving.v2.json_numbers import NumberText
from serving.v2.tensor import Array, Tensor, check_shape, dtype_of

_JSON_TYPES: Final[dict[str, set[type]]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}}
"""The Python types that JSON's values may have, by the kind of the NumPy type they become."""

_NAMES: Final = {
    str: "text",
    float: "fractions",
    bool: "booleans",
    int: "numbers",
    type(None): "null",
    list: "lists",
    dict: "objects",
}


def read_json_tensor(name: str, datatype: str, shape: Sequence[int], data: list[Any] | NumberText) -> Tensor:
    """Read JSON data, flat or nested, without a silent change of any value.

    Raises:
        RequestInvalid: a text of numbers is no JSON.
        TensorInvalid: the datatype is unknown, or the values are not of it, or not as many as the shape holds.
    """
    dtype = dtype_of(datatype, name)
    count = check_shape(shape, name)
    if isinstance(data, NumberText):
        read = data.read(dtype, shape)
        if read is not None:
            return Tensor(name, read)
        data = data.parse()
    where = f"tensor {name!r}"
    array = _strings(data, where) if datatype == "BYTES" else _numbers(data, datatype, dtype, where)
    if array.size != count:
        raise TensorInvalid(f"{where} has {array.size} values where the shape {list(shape)} takes {count}", input=name)
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
    """By hand: NumPy would pad every string to the longest one."""
    flat = _flatten(data, where)
    for value in flat:
        if not isinstance(value, str):
            raise TensorInvalid(f"{where} holds a JSON {json_type(value)}: BYTES are strings in JSON")
    array = np.empty(len(flat), dtype=np.object_)
    array[:] = flat
    return array


def _numbers(data: list[Any], datatype: str, dtype: np.dtype[Any], where: str) -> Array:
    """Look at the values' types before NumPy does, which would take text, fractions and booleans for numbers."""
    flat = _flatten(data, where)
    kinds = set(map(type, flat))
    strangers = kinds - _JSON_TYPES[dtype.kind]
    if strangers:
        names = ", ".join(sorted(_NAMES.get(kind, "values of another type") for kind in strangers))
        raise TensorInvalid(f"{where} is {datatype}, and holds {names}")
    try:
        with np.errstate(over="ignore"):
            array: Array = np.array(flat, dtype=dtype)
    except OverflowError as error:
        raise TensorInvalid(f"{where} holds numbers over the range of {datatype}") from error
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise TensorInvalid(f"{where} holds numbers over the range of {datatype}")
    return array


def _flatten(data: list[Any], where: str) -> list[Any]:
    """Return the values of lists of any depth, row by row; all rows of one depth have one length."""
    level = data
    while level and isinstance(level[0], list):
        length = len(level[0])
        if any(type(row) is not list or len(row) != length for row in level):
            raise TensorInvalid(f"{where} holds rows of different lengths")
        level = list(chain.from_iterable(level))
    return level
