"""The array operations that decoders are written in, and NumPy's way of doing them.

A decoder is one program over these few operations, and has two interpreters: `NumpyOps` here, for a transformer before
somebody else's predictor, and `predictor.graph.ops.OnnxOps`, which writes the same program into the model's graph. So
both ways give the same answer because they are the same lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from serving.errors import ContractInvalid

V = TypeVar("V")

Array = npt.NDArray[Any]
Shape = tuple[int | None, ...]
"""Sizes of axes; None where a size is known only at run time."""

Size = tuple[int, int] | int
"""What a map is brought to: a height and a width, or how many times larger it becomes on each side."""

DTYPES: Final[Mapping[str, Any]] = {
    "float16": np.float16,
    "float32": np.float32,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
}


class NotCompilable(Exception):
    """Something of the graph is known only at run time, and the program cannot do without it.

    NumPy's arrays know everything: only the way into a graph raises this.
    """


class Ops(Protocol[V]):
    """Operations on arrays of whatever kind `V` is. Axes may be negative; nothing is changed in place."""

    def shape(self, value: V) -> Shape:
        """Return what is known of the shape."""

    def size(self, value: V, axis: int) -> V:
        """Return the size of an axis, known now or not, as an int64."""

    def constant(self, array: Array) -> V:
        """Return an array that is known now."""

    def cast(self, value: V, dtype: str) -> V:
        """Convert to one of `DTYPES`; a fraction is cut off."""

    def slice(self, value: V, axis: int, start: int, stop: int | None = None) -> V:
        """Return the elements of an axis from `start` to `stop`."""

    def reshape(self, value: V, *sizes: int) -> V:
        """Give another shape: 0 keeps the size at its place, one -1 takes what is left."""

    def transpose(self, value: V, *axes: int) -> V:
        """Reorder the axes."""

    def concat(self, values: Sequence[V], axis: int) -> V:
        """Join arrays along an axis."""

    def add(self, left: V, right: V) -> V:
        """Add, with broadcasting, as the three below."""

    def subtract(self, left: V, right: V) -> V:
        """Subtract."""

    def multiply(self, left: V, right: V) -> V:
        """Multiply."""

    def divide(self, left: V, right: V) -> V:
        """Divide; integers to the whole number below, for those that are not negative."""

    def clip(self, value: V, low: float, high: float) -> V:
        """Bring floating-point numbers into a range."""

    def exp(self, value: V) -> V:
        """Exponentiate."""

    def sigmoid(self, value: V) -> V:
        """Map to 0..1, each number by itself."""

    def softmax(self, value: V, axis: int) -> V:
        """Map to shares along an axis."""

    def max(self, value: V, axis: int) -> V:
        """Return the largest along an axis, which goes."""

    def mean(self, value: V, axis: int) -> V:
        """Return the mean along an axis, which goes."""

    def norm(self, value: V, axis: int) -> V:
        """Return the length (L2) of the vectors along an axis, which goes."""

    def argmax(self, value: V, axis: int) -> V:
        """Return the int64 place of the first of the largest along an axis, which goes."""

    def top(self, value: V, count: int) -> tuple[V, V]:
        """Return the `count` largest of each row of `[n, N]`, and their int64 places; all of them where N is less.

        The largest comes first, and of equals the one that stood first.
        """

    def rows(self, value: V, places: V) -> V:
        """Return, of `[n, N, M]`, the rows at `places` `[n, K]`: `[n, K, M]`."""

    def resize(self, value: V, size: Size, *, align_corners: bool) -> V:
        """Resample float32 `[n, C, h, w]` bilinearly, without antialiasing."""

    def resized_argmax(self, value: V, size: Size | None, *, align_corners: bool) -> V:
        """Return the uint8 place of the first of the largest along the second axis, which goes, after `resize`; None
        leaves the size as it is. For as many channels as a byte counts.
        """

    def pad(self, value: V, count: int, fill: float) -> V:
        """Bring the second axis of float32 `[n, M, ...]` to `count`: filled up at its end, or cut."""

    def finite(self, values: Sequence[V]) -> V:
        """Tell of each value, and each element of its first axis, whether all of it is finite: BOOL [n, values]."""


class NumpyOps(Ops[Array]):
    """The operations on NumPy's arrays."""

    @override
    def shape(self, value: Array) -> Shape:
        return value.shape

    @override
    def size(self, value: Array, axis: int) -> Array:
        return np.array(value.shape[axis], np.int64)

    @override
    def constant(self, array: Array) -> Array:
        return array

    @override
    def cast(self, value: Array, dtype: str) -> Array:
        wanted = np.dtype(DTYPES[dtype])
        if dtype == "int32" and value.dtype.kind in "iu" and value.dtype.itemsize >= wanted.itemsize:
            bounds = np.iinfo(wanted)  # a class id must not become another one
            value = value.clip(max(bounds.min, np.iinfo(value.dtype).min), bounds.max)
        return value.astype(wanted, copy=False)

    @override
    def slice(self, value: Array, axis: int, start: int, stop: int | None = None) -> Array:
        index: list[slice] = [slice(None)] * value.ndim
        index[axis] = slice(start, stop)
        return value[tuple(index)]

    @override
    def reshape(self, value: Array, *sizes: int) -> Array:
        return value.reshape([value.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)])

    @override
    def transpose(self, value: Array, *axes: int) -> Array:
        return value.transpose(axes)

    @override
    def concat(self, values: Sequence[Array], axis: int) -> Array:
        return np.concatenate(values, axis)

    @override
    def add(self, left: Array, right: Array) -> Array:
        return np.asarray(left + right)

    @override
    def subtract(self, left: Array, right: Array) -> Array:
        return np.asarray(left - right)

    @override
    def multiply(self, left: Array, right: Array) -> Array:
        return np.asarray(left * right)

    @override
    def divide(self, left: Array, right: Array) -> Array:
        return np.asarray(left // right if left.dtype.kind == "i" else left / right)

    @override
    def clip(self, value: Array, low: float, high: float) -> Array:
        return np.clip(value, value.dtype.type(low), value.dtype.type(high))

    @override
    def exp(self, value: Array) -> Array:
        return np.asarray(np.exp(value))

    @override
    def sigmoid(self, value: Array) -> Array:
        # Of the two forms each number gets the one whose power cannot overflow.
        power = np.exp(-np.abs(value))
        return np.asarray(np.where(value >= 0, 1, power) / (1 + power), dtype=value.dtype)

    @override
    def softmax(self, value: Array, axis: int) -> Array:
        powers = np.exp(value - value.max(axis=axis, keepdims=True))
        return np.asarray(powers / powers.sum(axis=axis, keepdims=True))

    @override
    def max(self, value: Array, axis: int) -> Array:
        return np.asarray(value.max(axis=axis))

    @override
    def mean(self, value: Array, axis: int) -> Array:
        return np.asarray(value.mean(axis=axis))

    @override
    def norm(self, value: Array, axis: int) -> Array:
        return np.asarray(np.sqrt(np.square(value).sum(axis=axis)))

    @override
    def argmax(self, value: Array, axis: int) -> Array:
        return np.asarray(value.argmax(axis=axis))

    @override
    def top(self, value: Array, count: int) -> tuple[Array, Array]:
        places = np.stack([best_of(row, count) for row in value])
        return np.take_along_axis(value, places, axis=1), places

    @override
    def rows(self, value: Array, places: Array) -> Array:
        try:
            return np.take_along_axis(value, places[:, :, None], axis=1)
        except IndexError as error:
            raise ContractInvalid(f"an output names a row that there is not: {error}") from error

    @override
    def resize(self, value: Array, size: Size, *, align_corners: bool) -> Array:
        height, width = resized(value.shape[2], value.shape[3], size, align_corners=align_corners)
        wide = _stretched(value, 3, Neighbors.of(value.shape[3], width, align_corners=align_corners))
        return _stretched(wide, 2, Neighbors.of(value.shape[2], height, align_corners=align_corners))

    @override
    def resized_argmax(self, value: Array, size: Size | None, *, align_corners: bool) -> Array:
        _, _, old_height, old_width = value.shape
        height, width = resized(old_height, old_width, size or 1, align_corners=align_corners)
        places = np.zeros((len(value), height, width), np.uint8)
        if (height, width) == (old_height, old_width):
            _put_argmax(value, places)
            return places
        wide = _stretched(value, 3, Neighbors.of(old_width, width, align_corners=align_corners))
        rows = Neighbors.of(old_height, height, align_corners=align_corners)
        for start in range(0, height, _ROWS):
            some = slice(start, start + _ROWS)
            _put_argmax(_stretched(wide, 2, rows[some]), places[:, some])
        return places

    @override
    def pad(self, value: Array, count: int, fill: float) -> Array:
        missing = max(0, count - value.shape[1])
        padding = [(0, 0), (0, missing), *[(0, 0)] * (value.ndim - 2)]
        return np.pad(value[:, :count], padding, constant_values=fill)

    @override
    def finite(self, values: Sequence[Array]) -> Array:
        return np.stack([np.isfinite(value.reshape(len(value), -1)).all(axis=1) for value in values], axis=1)


def number(ops: Ops[V], value: float) -> V:
    """Return a constant: float32, or int64 for an `int`."""
    return ops.constant(np.array(value, np.int64 if isinstance(value, int) else np.float32))


def best_of(scores: Array, count: int) -> npt.NDArray[np.intp]:
    """Return the places of the `count` largest of `scores` `[N]`, best first; of equals, the first ones."""
    if count < len(scores):
        least = np.partition(scores, -count)[-count]
        candidates = np.flatnonzero(scores >= least)
    else:
        candidates = np.arange(len(scores))
    ordered: npt.NDArray[np.intp] = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return ordered


_ROWS: Final = 32
"""How many rows of a map are enlarged at a time: all of them, of 150 classes at 1024 x 1024, would be 630 MB."""


def _put_argmax(values: Array, places: Array) -> None:
    """Write the place of the first of the largest of `values` `[n, C, h, w]` to `places`, zeros `[n, h, w]`.

    Channel by channel, which takes half of the time of NumPy's `argmax` on an axis that is not the last.
    """
    best = values[:, 0]
    for channel in range(1, values.shape[1]):
        np.copyto(places, channel, where=values[:, channel] > best)
        best = np.maximum(best, values[:, channel])


def resized(height: int, width: int, size: Size, *, align_corners: bool) -> tuple[int, int]:
    """Return the height and width of what is resized to `size`.

    With corners on corners, as many times larger is a distance between two points that is as many times larger.
    """
    if isinstance(size, tuple):
        return size
    less = size - 1 if align_corners else 0
    return height * size - less, width * size - less


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The two old points that each new one of a bilinear resampling lies between, as ONNX's `Resize` and PyTorch define
    it: `[wanted]` of `before` and `after`, and the share of the second.
    """

    before: npt.NDArray[np.intp]
    after: npt.NDArray[np.intp]
    share: npt.NDArray[np.float32]

    @classmethod
    def of(cls, size: int, wanted: int, *, align_corners: bool) -> Neighbors:
        """Return those of an axis of `size` that is brought to `wanted`."""
        if align_corners:
            centers = np.arange(wanted) * ((size - 1) / max(wanted - 1, 1))
        else:
            centers = (np.arange(wanted) + 0.5) * (size / wanted) - 0.5
        centers = centers.clip(0, size - 1)
        before = np.floor(centers).astype(np.intp)
        return cls(before, np.minimum(before + 1, size - 1), (centers - before).astype(np.float32))

    def __getitem__(self, some: slice) -> Neighbors:
        return Neighbors(self.before[some], self.after[some], self.share[some])

    def weights(self, size: int) -> npt.NDArray[np.float32]:
        """Return the matrix `[wanted, size]` that a product with resamples."""
        weights = np.zeros((len(self.share), size), np.float32)
        every = np.arange(len(self.share))
        weights[every, self.before] = 1 - self.share
        weights[every, self.after] += self.share
        return weights


def _stretched(value: Array, axis: int, neighbors: Neighbors) -> Array:
    """Resample one axis of `[n, C, h, w]`.

    Without a matrix product, whose threads wait for each other where the cores are busy.
    """
    share = neighbors.share[:, None] if axis == 2 else neighbors.share  # noqa: PLR2004  # rows or columns
    first, second = value.take(neighbors.before, axis), value.take(neighbors.after, axis)
    second -= first
    second *= share
    second += first
    return second
