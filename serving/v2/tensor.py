"""V2 tensors as NumPy arrays, without copies: the datatypes, and the bytes of the binary forms.

Binary tensors are read as views of the request's bytes (read-only) and written from the array's own memory.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from serving.errors import TensorInvalid

Array = npt.NDArray[Any]

DATATYPES: Final[dict[str, np.dtype[Any]]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
"""Every datatype of the protocol that NumPy has; BF16 is the one it has not. Values are little-endian on the wire."""

MAX_RANK: Final = 32
"""The most dimensions of a tensor: half of what NumPy takes, and more than any model has."""

MAX_ELEMENTS: Final = 2**48
"""The most elements of a tensor: more than any machine holds, and few enough for NumPy to count their bytes."""

MAX_ELEMENTS_ONE_BY_ONE: Final = 4 * 2**20
"""The most elements of a tensor that are read one by one: BYTES, and gRPC's typed contents. On the event loop a million
takes a fifth of a second."""

IS_LITTLE: Final = sys.byteorder == "little"

_NAMES: Final = {dtype: name for name, dtype in DATATYPES.items()}
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named array. BYTES arrays hold `bytes` where the wire was binary and `str` where it was JSON."""

    name: str
    array: Array

    @property
    def datatype(self) -> str:
        """The V2 name of the array's type."""
        return datatype_of(self.array.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.array.shape


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Return the V2 name of a NumPy type.

    Raises:
        KeyError: the type has none (complex numbers, dates).
    """
    return _NAMES[np.dtype(np.object_) if dtype.kind in "SUO" else dtype.newbyteorder("=")]


def dtype_of(datatype: str, name: str) -> np.dtype[Any]:
    """Return the NumPy type of a V2 datatype; `name` is the tensor's, for the error.

    Raises:
        TensorInvalid: there is no such datatype.
    """
    dtype = DATATYPES.get(datatype)
    if dtype is None:
        raise TensorInvalid(
            f"input {name!r} has the datatype {datatype!r:.40}: one of {', '.join(DATATYPES)} is expected", input=name
        )
    return dtype


def check_rank(rank: int, where: str) -> None:
    """Raise `TensorInvalid` for more dimensions than `MAX_RANK`."""
    if rank > MAX_RANK:
        raise TensorInvalid(f"{where} has {rank} dimensions: at most {MAX_RANK} are read")


def check_shape(shape: Sequence[int], name: str) -> int:
    """Return how many elements `shape` holds.

    Raises:
        TensorInvalid: a dimension is negative, or there are more than NumPy has.
    """
    check_rank(len(shape), f"input {name!r}")
    if any(dimension < 0 for dimension in shape):
        raise TensorInvalid(f"input {name!r} has the shape {list(shape)}: no dimension may be negative", input=name)
    # NumPy refuses these even where another dimension is 0.
    if math.prod(dimension or 1 for dimension in shape) > MAX_ELEMENTS:
        raise TensorInvalid(f"input {name!r} has the shape {list(shape)}: no memory holds so many elements", input=name)
    return math.prod(shape)


def read_binary(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> Tensor:
    """View `data` as a tensor; only BYTES elements are copied.

    Raises:
        TensorInvalid: the datatype is unknown, or the bytes are not those of the shape.
    """
    dtype = dtype_of(datatype, name)
    count = check_shape(shape, name)
    if datatype == "BYTES":
        return Tensor(name, _read_elements(name, count, data).reshape(shape))
    if len(data) != count * dtype.itemsize:
        raise TensorInvalid(
            f"input {name!r} has {len(data)} bytes where {datatype} {list(shape)} takes {count * dtype.itemsize}",
            input=name,
        )
    return Tensor(name, np.frombuffer(data, dtype=dtype).reshape(shape))


def write_binary(array: Array) -> bytes | memoryview:
    """Return the array's bytes in row-major order: a view of its memory where it is contiguous, else of a copy."""
    if array.dtype.kind in "SUO":
        return _write_elements(array)
    if IS_LITTLE and array.dtype.isnative and array.flags.c_contiguous and array.size:
        return array.data.cast("B")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data if little.size else b""


def _read_elements(name: str, count: int, data: bytes | memoryview) -> Array:
    """Split length-prefixed elements. The count is checked against the bytes first, so that no shape can ask for more
    memory than was sent.
    """
    if count * _LENGTH.size > len(data):
        raise TensorInvalid(
            f"input {name!r} has {len(data)} bytes: too few for {count} BYTES elements, each with a length of 4 bytes "
            "before it",
            input=name,
        )
    if count > MAX_ELEMENTS_ONE_BY_ONE:
        raise TensorInvalid(
            f"input {name!r} has {count} elements: at most {MAX_ELEMENTS_ONE_BY_ONE} are read", input=name
        )
    elements = np.empty(count, dtype=np.object_)
    position, end = 0, len(data)
    for index in range(count):
        start = position + _LENGTH.size
        if start > end:
            raise TensorInvalid(f"input {name!r} ends before element {index} of {count}", input=name)
        position = start + _LENGTH.unpack_from(data, position)[0]
        if position > end:
            raise TensorInvalid(
                f"element {index} of input {name!r} says it has {position - start} bytes; {end - start} are left",
                input=name,
            )
        elements[index] = bytes(data[start:position])
    if position != end:
        raise TensorInvalid(f"input {name!r} has {end - position} bytes after its {count} elements", input=name)
    return elements


def _write_elements(array: Array) -> bytes:
    parts: list[bytes] = []
    for element in array.flat:
        encoded = element if isinstance(element, bytes) else str(element).encode()
        parts += (_LENGTH.pack(len(encoded)), encoded)
    return b"".join(parts)
