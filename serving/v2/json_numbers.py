"""Long lists of numbers in a JSON message, read without a Python list for each row.

A picture's tensor as JSON is a hundred thousand numbers in fifty thousand lists, and to make those lists costs more
than to run the model. So the text of such a list is cut out of its message before that is parsed, and read by itself,
some thousands of numbers at a time. What is read so is proven to be regular first: the brackets stand as the shape
wants them, and between them are numbers alone. Of any other text nothing is said here: it is parsed as all JSON is, and
judged by `json_data`.

Looked at and left: simdjson's bindings, whose arrays are flattened without a look at the lengths of their rows, and
msgspec, which reads as many lists as orjson does.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from serving.errors import RequestInvalid
from serving.v2.json_fields import Object, check_size, read_object
from serving.v2.message import MAX_TENSORS
from serving.v2.tensor import Array

MIN_BYTES: Final = 4096
"""Shorter texts are parsed with their message."""

PORTION_BYTES: Final = 64 * 1024
"""How much text becomes Python's numbers at once, before they are an array's."""

_KEY: Final = b'"data"'
_LIST: Final = re.compile(rb'"data"\s{0,8}:\s{0,8}(\[[\[ ]{0,64}-?[0-9])')
_NUMBER: Final = b"0123456789+-.eE"
_BLANKED: Final = bytes.maketrans(b"[]", b"  ")
_OPEN, _CLOSE, _COMMA, _SPACE = b"[],"[0], b"[],"[1], b"[],"[2], b" "[0]


@dataclass(frozen=True, slots=True)
class NumberText:
    """The text of a list that begins with a number, or of a list of such lists, and its place in the message."""

    text: bytes
    position: int

    def parse(self) -> list[Any]:
        """Parse it as any JSON.

        Raises:
            RequestInvalid: it is none, or more than a list.
        """
        try:
            values: list[Any] = orjson.loads(self.text)
        except orjson.JSONDecodeError as error:
            raise RequestInvalid(
                f"the body is not JSON: {error.msg} at character {self.position + error.pos}"
            ) from error
        return values

    def read(self, dtype: np.dtype[Any], shape: Sequence[int]) -> Array | None:
        """Return the numbers as an array, or None where the text is not regular, or holds what the type does not.

        No dimension of `shape` is negative.
        """
        if dtype.kind not in "iuf":
            return None
        count = math.prod(shape)
        numbers = self._between_brackets(shape, count)
        if numbers is None or not _are_numbers(numbers, dtype):
            return None
        try:
            array = _fill(numbers, dtype, count)
        except (orjson.JSONDecodeError, OverflowError, TypeError, ValueError):
            return None
        if array is None or (dtype.kind == "f" and not np.isfinite(array).all()):
            return None
        return array.reshape(shape)

    def _between_brackets(self, shape: Sequence[int], count: int) -> bytes | None:
        """Return the text without its brackets, if it is flat, or they are those of the shape."""
        if not (self.text.startswith(b"[") and self.text.endswith(b"]")):
            return None
        inner = self.text[1:-1]
        if b"[" not in inner and b"]" not in inner:
            return inner
        skeleton = _skeleton(shape, count, limit=len(self.text))
        if skeleton is None or self.text.translate(None, _NUMBER + b" ") != skeleton or not _is_tidy(self.text):
            return None
        return self.text.translate(_BLANKED)


def read_message(data: bytes, *, hint: str = "") -> Object:
    """Parse a message as `read_object` does; a long `data` of its inputs or outputs may be a `NumberText`.

    Raises:
        RequestTooLarge, RequestInvalid: as `read_object`.
    """
    check_size(data)
    if len(data) >= MIN_BYTES:
        message = _read_cut(data)
        if message is not None:
            return message
    return read_object(data, hint=hint)


def _read_cut(data: bytes) -> Object | None:
    """Parse a message without its long lists of numbers, and put their texts in their places.

    None where there are no such lists, where they stand elsewhere, or where the rest is no JSON.
    """
    texts = list(_find_texts(data))
    if not texts:
        return None
    mark = secrets.token_hex(8)  # nobody can have written it into the message
    parts: list[bytes] = []
    end = 0
    for number, found in enumerate(texts):
        parts += (data[end : found.position], f'"{mark}{number}"'.encode())
        end = found.position + len(found.text)
    try:
        message = orjson.loads(b"".join([*parts, data[end:]]))
    except orjson.JSONDecodeError:
        return None
    return _restore(message, {f"{mark}{number}": found for number, found in enumerate(texts)})


def _find_texts(data: bytes) -> Iterator[NumberText]:
    """Yield what look like long lists of numbers under the key `data`: each ends before the next quote or brace."""
    start = data.find(_KEY)
    for _ in range(MAX_TENSORS):
        if start < 0:
            return
        begin = _LIST.match(data, start)
        next_start = start + len(_KEY)
        if begin:
            position = begin.start(1)
            stop = _find(data, b"}", position, _find(data, b'"', position, len(data)))
            text = data[position:stop].rstrip(b" \t\r\n,")
            if len(text) >= MIN_BYTES and text.endswith(b"]"):
                yield NumberText(text, position)
            next_start = stop
        start = data.find(_KEY, next_start)


def _find(data: bytes, character: bytes, start: int, end: int) -> int:
    found = data.find(character, start, end)
    return end if found < 0 else found


def _restore(message: object, texts: dict[str, NumberText]) -> Object | None:
    """Put the texts where their marks stand; None unless each stands where a tensor's data is."""
    if not isinstance(message, dict):
        return None
    restored = 0
    for key in ("inputs", "outputs"):
        items = message.get(key)
        for item in items if isinstance(items, list) else ():
            mark = item.get("data") if isinstance(item, dict) else None
            if isinstance(mark, str) and mark in texts:
                item["data"] = texts[mark]
                restored += 1
    return message if restored == len(texts) else None


def _skeleton(shape: Sequence[int], count: int, limit: int) -> bytes | None:
    """Return the brackets and commas of nested lists of a shape, unless they are longer than `limit` bytes."""
    if not shape or not count:
        return None
    lists = sum(math.prod(shape[:depth]) for depth in range(len(shape)))
    if 2 * lists + count - 1 > limit:
        return None
    skeleton = b"," * (shape[-1] - 1)
    for length in reversed(shape[:-1]):
        skeleton = b",".join([b"[" + skeleton + b"]"] * length)
    return b"[" + skeleton + b"]"


def _is_tidy(text: bytes) -> bool:
    """Whether lists begin only after a bracket or a comma, and are followed only by a bracket or a comma, so that each
    number stands in the innermost list; a space may follow a comma.
    """
    characters = np.frombuffer(text, dtype=np.uint8)
    before, after = characters[:-1], characters[1:]
    odd = (after == _OPEN) & (before != _OPEN) & (before != _COMMA) & (before != _SPACE)
    odd |= (before == _CLOSE) & (after != _CLOSE) & (after != _COMMA)
    odd |= (after == _SPACE) & (before != _COMMA)
    return not odd.any()


def _are_numbers(text: bytes, dtype: np.dtype[Any]) -> bool:
    """Whether there is none of JSON's words in a text without quotes and braces, and no fraction where none belongs."""
    strangers = b"us" if dtype.kind == "f" else b"us.eE"  # of true, false and null; a fraction's
    return not any(stranger in text for stranger in strangers)


def _fill(text: bytes, dtype: np.dtype[Any], count: int) -> Array | None:
    """Parse numbers with commas between them, portion by portion; None where they are not `count`.

    Raises:
        JSONDecodeError, OverflowError, TypeError, ValueError: they are no such numbers, or over the range of the type.
    """
    if count > len(text):
        return None
    array: Array = np.empty(count, dtype=dtype)
    filled = start = 0
    while start <= len(text):
        end = text.find(b",", start + PORTION_BYTES)
        end = len(text) if end < 0 else end
        values = orjson.loads(b"[" + text[start:end] + b"]")
        if not values or filled + len(values) > count:
            return None
        array[filled : filled + len(values)] = _values(values, dtype)
        filled += len(values)
        start = end + 1
    return array if filled == count else None


def _values(values: list[Any], dtype: np.dtype[Any]) -> Array:
    if dtype == np.uint8:
        return np.frombuffer(bytes(values), dtype=dtype)  # twice as fast
    if dtype.kind != "f" and dtype.itemsize == np.dtype(np.int64).itemsize and set(map(type, values)) != {int}:
        raise OverflowError("a number of more than 64 bits is a fraction to the parser")
    with np.errstate(over="ignore"):
        return np.fromiter(values, dtype=dtype, count=len(values))
