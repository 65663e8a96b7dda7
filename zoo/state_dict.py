"""Reading a PyTorch state dict without PyTorch, and without running anything that it says.

A `.pth` file is a pickle, and a pickle is a program: loading one calls whatever it names. Here it can name three kinds
of thing: `OrderedDict`, the function that rebuilds a tensor, and the storage types. The last two are stand-ins that
only record what they are given; arrays are made afterwards, from numbers that were checked. Other names are refused.

The format read is the one before PyTorch 1.6 (`torch.serialization._legacy_save`): five pickles, one after the other
(magic number, protocol, platform, the object, the keys of its storages), then for each key an int64 count and the
storage's bytes. Later versions write a zip archive, which is told apart and refused.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from math import prod
from typing import NamedTuple

import numpy as np

from zoo.errors import WeightsInvalid
from zoo.layers import Array

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_ZIP = b"PK\x03\x04"
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
_MALFORMED = (
    pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, MemoryError, OverflowError, TypeError,
    ValueError,
)  # fmt: skip
"""What `pickle` raises on bytes that are no pickle, or that use a thing in a way it does not allow."""


class _StorageType(NamedTuple):
    dtype: str


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(data: bytes) -> dict[str, Array]:
    """Return the tensors of a `.pth` file by name, as arrays of their own dtype and shape.

    Raises:
        WeightsInvalid: `data` names anything but tensors, is in another format, or is cut short.
    """
    if data.startswith(_ZIP):
        raise WeightsInvalid("the weights are in PyTorch's zip format (1.6 and later); only the one before it is read")
    file = io.BytesIO(data)
    _read_header(file)
    tensors = _tensors(_Unpickler(file).read())
    storages = _read_storages(file, tensors)
    return {name: _array(name, tensor, storages) for name, tensor in tensors.items()}


class _Unpickler(pickle.Unpickler):
    """Resolves nothing but what a state dict consists of."""

    def read(self) -> object:
        try:
            return self.load()
        except _MALFORMED as error:
            raise WeightsInvalid(f"the weights are not a PyTorch state dict: {error}") from error

    def find_class(self, module: str, name: str) -> object:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _RebuildTensor()
            case "torch", _ if name in _DTYPES:
                return _StorageType(_DTYPES[name])
        raise WeightsInvalid(f"the weights name {module}.{name}, which is no part of a state dict: refused")

    def persistent_load(self, pid: object) -> _Storage:
        match pid:
            case ("storage", _StorageType(dtype), str(key), str(), int(length), None) if length >= 0:
                return _Storage(key, dtype, length)
        raise WeightsInvalid(f"the weights hold a storage that is not understood: {pid!r}")


class _RebuildTensor:
    """Stands in for `torch._utils._rebuild_tensor_v2`. Without a `__dict__`, so that a pickle cannot alter it."""

    __slots__ = ()

    def __call__(self, storage: object, offset: object, shape: object, strides: object, *_: object) -> _Tensor:
        """Record a tensor; what follows the strides concerns gradients."""
        match storage, offset, shape, strides:
            case _Storage(), int(), tuple(), tuple() if all(isinstance(n, int) and n >= 0 for n in (*shape, *strides)):
                return _Tensor(storage, offset, shape, strides)
        raise WeightsInvalid("the weights hold a tensor whose storage, shape or strides are not understood")


def _read_header(file: io.BytesIO) -> None:
    if _Unpickler(file).read() != _MAGIC or _Unpickler(file).read() != _PROTOCOL:
        raise WeightsInvalid("the weights do not begin as a PyTorch file does")
    match _Unpickler(file).read():
        case {"little_endian": True}:
            return
    raise WeightsInvalid("the weights were written on a big-endian machine, which is not read")


def _tensors(loaded: object) -> dict[str, _Tensor]:
    if not isinstance(loaded, dict):
        raise WeightsInvalid(f"the weights hold a {type(loaded).__name__} where a state dict is expected")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            raise WeightsInvalid(f"the weights hold a {type(value).__name__} at {name!r} where a tensor is expected")
    return loaded


def _read_storages(file: io.BytesIO, tensors: dict[str, _Tensor]) -> dict[str, Array]:
    declared = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    keys = _Unpickler(file).read()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != set(declared):
        raise WeightsInvalid("the weights list other storages than their tensors use")
    return {key: _read_storage(file, declared[key]) for key in keys}


def _read_storage(file: io.BytesIO, storage: _Storage) -> Array:
    dtype = np.dtype(storage.dtype)
    count = int.from_bytes(file.read(8), "little")
    data = file.read(storage.length * dtype.itemsize)
    if count != storage.length or len(data) != storage.length * dtype.itemsize:
        raise WeightsInvalid(f"the weights are cut short: storage {storage.key} does not hold {storage.length} numbers")
    return np.frombuffer(data, dtype)


def _array(name: str, tensor: _Tensor, storages: dict[str, Array]) -> Array:
    """Return the tensor as an array of its own. Weights that came from TensorFlow lie transposed in their storage."""
    storage = storages[tensor.storage.key]
    if not _lies_within(tensor, storage.size):
        raise WeightsInvalid(f"the tensor {name} is not a part of its storage")
    strides = [
        stride * storage.itemsize if n > 1 else 0 for n, stride in zip(tensor.shape, tensor.strides, strict=True)
    ]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides).copy()


def _lies_within(tensor: _Tensor, size: int) -> bool:
    """Whether each element is inside a storage of `size` elements, and no more are asked for than it has."""
    if tensor.offset < 0 or len(tensor.shape) != len(tensor.strides):
        return False
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    return 0 < prod(tensor.shape) <= size and last < size
