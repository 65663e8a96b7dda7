"""What the JSON of a V2 message says of its tensors, and the tensors made of it and of the bytes behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.errors import RequestInvalid, TensorInvalid
from serving.v2.json_data import read_json_tensor
from serving.v2.json_fields import Object, find_parameters, get_list, get_string, json_type
from serving.v2.json_numbers import NumberText
from serving.v2.message import check_count, check_name
from serving.v2.tensor import Tensor, check_rank, read_binary


@dataclass(frozen=True, slots=True)
class Outline:
    """A tensor but for its bytes, of which there are `size`; one whose values stand in the JSON has them in `data`."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    size: int | None
    data: list[Any] | NumberText


def read_outlines(items: list[Any], kind: str) -> tuple[Outline, ...]:
    """Read the objects of a message's tensors; `kind` is "input" or "output".

    Raises:
        RequestInvalid: one is not as the protocol wants it.
    """
    check_count(len(items), f"{kind}s")
    return tuple(_read_outline(item, kind) for item in items)


def fill(outlines: Sequence[Outline], tail: memoryview, kind: str) -> tuple[Tensor, ...]:
    """Make the tensors; those of bytes are views of `tail`, in order.

    Raises:
        RequestInvalid: there are more bytes than the tensors have.
        TensorInvalid: there are fewer, or a tensor's datatype, shape and data do not agree.
    """
    tensors: list[Tensor] = []
    position = 0
    for outline in outlines:
        name, size = outline.name, outline.size
        if size is None:
            tensors.append(read_json_tensor(name, outline.datatype, outline.shape, outline.data))
            continue
        if position + size > len(tail):
            raise TensorInvalid(
                f"{kind} {name!r} says it has {size} binary bytes; {len(tail) - position} follow the JSON", input=name
            )
        tensors.append(read_binary(name, outline.datatype, outline.shape, tail[position : position + size]))
        position += size
    if position != len(tail):
        raise RequestInvalid(f"{len(tail) - position} bytes follow the JSON that belong to no tensor")
    return tuple(tensors)


def read_shape(item: Object, where: str) -> tuple[int, ...]:
    """Return the shape of a tensor's object.

    Raises:
        RequestInvalid: it is no list of whole numbers, or too long.
    """
    shape = get_list(item, "shape", where)
    check_rank(len(shape), where)
    if any(isinstance(dimension, bool) or not isinstance(dimension, int) for dimension in shape):
        raise RequestInvalid(f"{where} has the shape {shape!r:.80}: a list of whole numbers is expected")
    return tuple(shape)


def _read_outline(item: object, kind: str) -> Outline:
    if not isinstance(item, dict):
        raise RequestInvalid(f"{kind}s holds a JSON {json_type(item)}: an object for each tensor is expected")
    name = get_string(item, "name", f"an {kind}")
    check_name(name, kind)
    where = f"{kind} {name!r}"
    datatype = get_string(item, "datatype", where)
    shape = read_shape(item, where)
    size = _binary_size(item, where)
    data: list[Any] | NumberText = []
    if size is None:
        values = item.get("data")
        data = values if isinstance(values, NumberText) else get_list(item, "data", where)
    return Outline(name, datatype, shape, size, data)


def _binary_size(item: Object, where: str) -> int | None:
    size = find_parameters(item, where).get("binary_data_size")
    if size is None:
        return None
    if "data" in item:
        raise RequestInvalid(f"{where} has both data and binary_data_size: give one")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise RequestInvalid(f"{where} has the binary_data_size {size!r}: a number of bytes is expected")
    return size
