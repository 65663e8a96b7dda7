"""Tensors as the model's metadata describes them, and their three spellings: JSON, raw bytes, NumPy."""

from __future__ import annotations

import base64
import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .target import BytesSample

JsonObject = dict[str, Any]

# https://github.com/kserve/open-inference-protocol, "Tensor Data Types". BF16 is an addition of Triton's, not listed.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}
WORDS = ("quick", "brown", "fox", "jumps", "over", "lazy", "dog")
PICTURE_SIZE = (24, 16)  # width, height
TOLERANCE = 1e-4


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of the model's metadata."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def is_integer(self) -> bool:
        return self.datatype.startswith(("INT", "UINT"))

    @property
    def is_float(self) -> bool:
        return self.datatype.startswith("FP")

    @property
    def is_batched(self) -> bool:
        return bool(self.shape) and self.shape[0] == -1

    def shape_of(self, rows: int) -> tuple[int, ...]:
        """Return a shape without -1: `rows` for the first dimension, where it is free, and 1 for the others."""
        free = [rows, *[1] * len(self.shape)]
        return tuple(free[axis] if size == -1 else size for axis, size in enumerate(self.shape))


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor with its `elements`, flat and in row-major order; those of BYTES are `bytes` in an object array."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: NDArray[Any]

    def __post_init__(self) -> None:
        assert self.elements.shape == (math.prod(self.shape),), f"{self.name}: {self.shape} and its elements disagree"

    @property
    def flat(self) -> list[Any]:
        """The elements as JSON values."""
        if self.datatype == "BYTES":
            return [text_of(element) for element in self.elements]
        values: list[Any] = self.elements.tolist()
        return values

    @property
    def nested(self) -> list[Any]:
        """The elements as JSON arrays within arrays, as deep as the shape."""
        array = np.array(self.flat, dtype=DTYPES[self.datatype]).reshape(self.shape)
        values: list[Any] = array.tolist()
        return values

    @property
    def raw(self) -> bytes:
        """The elements in little-endian bytes; those of BYTES each behind its length in 4 bytes."""
        if self.datatype == "BYTES":
            return b"".join(struct.pack("<I", len(element)) + element for element in self.elements)
        return self.elements.astype(DTYPES[self.datatype]).tobytes()

    @property
    def document(self) -> JsonObject:
        """The input as the JSON of a request says it."""
        return {"name": self.name, "shape": list(self.shape), "datatype": self.datatype, "data": self.flat}

    def rows(self) -> list[Tensor]:
        """Return the tensor cut along its first dimension, each row as a batch of one."""
        parts = np.split(self.elements, self.shape[0])
        return [replace(self, shape=(1, *self.shape[1:]), elements=part) for part in parts]


def text_of(element: bytes) -> str:
    """Return the JSON string for a BYTES element: text as it is, anything else in base64."""
    try:
        return element.decode()
    except UnicodeDecodeError:
        return base64.b64encode(element).decode("ascii")


def sample(spec: TensorSpec, rows: int, seed: int, bytes_sample: BytesSample) -> Tensor:
    """Make up a valid tensor for an input: `seed` chooses the values."""
    shape = spec.shape_of(rows)
    count = math.prod(shape)
    dice = np.random.default_rng(seed)
    if spec.datatype == "BYTES":
        elements = np.empty(count, dtype=object)
        for index in range(count):
            elements[index] = picture(dice) if bytes_sample == "picture" else str(dice.choice(WORDS)).encode()
    elif spec.datatype == "BOOL":
        elements = dice.integers(0, 2, count).astype(bool)
    elif spec.is_integer:
        elements = dice.integers(0, 128, count).astype(DTYPES[spec.datatype])
    else:
        elements = dice.integers(0, 64, count).astype(DTYPES[spec.datatype]) / 64
    return Tensor(spec.name, spec.datatype, shape, elements.astype(DTYPES[spec.datatype]))


def picture(dice: np.random.Generator) -> bytes:
    """Return a PNG of two random colours, one beside the other."""
    left, right = (tuple(int(value) for value in dice.integers(0, 256, 3)) for _ in range(2))
    width, height = PICTURE_SIZE
    image = Image.new("RGB", PICTURE_SIZE, left)
    image.paste(right, (0, 0, width // 2, height))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def from_json(name: str, datatype: str, shape: Sequence[int], data: Sequence[Any]) -> Tensor:
    """Read a tensor of a JSON answer, whether its data is nested or flat."""
    values = list(data)
    while values and isinstance(values[0], list):
        values = [value for row in values for value in row]
    _assert_json_kind(datatype, values)
    elements = np.empty(len(values), dtype=DTYPES[datatype])
    elements[:] = [value.encode() for value in values] if datatype == "BYTES" else values
    return Tensor(name, datatype, tuple(shape), elements)


def _assert_json_kind(datatype: str, values: Sequence[Any]) -> None:
    """An answer spells booleans, integers and strings as such; a float may be spelled as an integer (``1``)."""
    kinds: tuple[type, ...] = (int, float) if datatype.startswith("FP") else (int,)
    if datatype in {"BOOL", "BYTES"}:
        kinds = (bool,) if datatype == "BOOL" else (str,)
    wrong = {type(value).__name__ for value in values if type(value) not in kinds}
    assert not wrong, f"{datatype} data holds {wrong}"


def from_raw(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> Tensor:
    """Read a tensor of raw bytes."""
    if datatype != "BYTES":
        return Tensor(name, datatype, tuple(shape), np.frombuffer(raw, DTYPES[datatype]))
    found: list[bytes] = []
    position = 0
    while position < len(raw):
        (size,) = struct.unpack_from("<I", raw, position)
        found.append(raw[position + 4 : position + 4 + size])
        position += 4 + size
    assert position == len(raw), f"{name}: the last element is cut short"
    elements = np.empty(len(found), dtype=object)
    elements[:] = found
    return Tensor(name, datatype, tuple(shape), elements)


def assert_same(left: Sequence[Tensor], right: Sequence[Tensor]) -> None:
    """Two answers hold the same tensors, whatever spelling they came in; floats within `TOLERANCE`."""
    assert [(t.name, t.datatype, t.shape) for t in left] == [(t.name, t.datatype, t.shape) for t in right]
    for one, other in zip(left, right, strict=True):
        if one.datatype.startswith("FP"):
            np.testing.assert_allclose(
                one.elements.astype(float), other.elements.astype(float), TOLERANCE, TOLERANCE, err_msg=one.name
            )
        else:
            assert one.flat == other.flat, one.name
