"""OpenCV's interpolations, in NumPy: what `cv2.resize` makes of a picture of 8 bits, without OpenCV.

A picture is resampled along its rows, and then along its columns. Each axis has taps: for every pixel of the output,
the pixels of the source that it is made of, and their weights. Only `opencv_area` takes more of them where a picture
shrinks; the others take as many as ever, and alias.

Source: opencv/modules/imgproc/src/resize.cpp, its code for 8 bits, with its numbers: weights of 11 bits for linear and
cubic, float32 for area, and its roundings. `tests/unit/pictures/test_opencv.py` holds what OpenCV gives: nearest,
linear and area are equal to the last bit. Cubic is equal to OpenCV's own code (without IPP, which rounds a few percent
of the samples to the neighbouring level, others on each kind of CPU) but for the end of each row, where OpenCV leaves
its vectors and rounds halves up: one level in two samples of a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.contract.input import Interpolation

Pixels = NDArray[np.uint8]
Samples = NDArray[Any]
Box = tuple[float, float, float, float]
Window = tuple[int, int, int, int]

_BITS: Final = 11
_ONE: Final = np.float32(1 << _BITS)
_SHARPNESS: Final = np.float32(-0.75)
"""The free number of the cubic's formula; Pillow takes -0.5."""
_NOTHING: Final = 1e-3
"""The part of a pixel that area leaves out."""
_ROWS_AT_ONCE: Final = 64
"""The most rows of the source, or about, that are resampled together, so that they stay in the CPU's cache, and that a
large picture is not in memory twice."""


@dataclass(frozen=True, slots=True)
class Span:
    """One axis of a resize: the source's pixels from `start` to `stop`, of `length`, become `size` pixels, of which
    those from `first` to `last` are wanted.
    """

    length: int
    start: float
    stop: float
    size: int
    first: int
    last: int

    @property
    def inverse(self) -> float:
        """Pixels of the output for one of the source."""
        return self.size / (self.stop - self.start)

    @property
    def scale(self) -> float:
        """Pixels of the source for one of the output, by OpenCV's two divisions."""
        return 1.0 / self.inverse

    @property
    def whole_scale(self) -> int | None:
        """The scale, where it is a whole number, and the pixels of the source are whole too."""
        whole = round(self.scale)
        exact = abs(self.scale - whole) < np.finfo(np.float64).eps and float(self.start).is_integer()
        return whole if exact else None

    def wanted(self) -> NDArray[np.int64]:
        """Return the places of the wanted pixels in the whole output."""
        return np.arange(self.first, self.last)

    def inside(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return places in the source, with those beyond an edge moved onto it."""
        return places.clip(0, self.length - 1)


@dataclass(frozen=True, slots=True)
class Taps:
    """[taps, output] places in the source, int64, and weights: int32, or float32 for area."""

    places: NDArray[np.int64]
    weights: Samples


@dataclass(frozen=True, slots=True)
class _Method:
    """How an output is made: `columns` along a row, and then `join` over the rows that `rows` names.

    `join` takes, for each tap, the resampled rows, [output, samples], and the weights, [output, 1].
    """

    columns: Taps
    rows: Taps
    join: Callable[[list[Samples], list[Samples]], Pixels]


def resample(
    image: Image.Image, size: tuple[int, int], window: Window, extent: Box, interpolation: Interpolation
) -> Pixels:
    """Resize as `cv2.resize`, and return a part of the output, `window`: [bottom - top, right - left, 3] uint8, or
    without the 3 where `image`, of the mode RGB or L, is grey.

    The part `extent` of the image becomes `size`, width and height, of which `window` is cut; it lies within. Both
    boxes are left, top, right, bottom in pixels.
    """
    columns = Span(image.width, extent[0], extent[2], size[0], window[0], window[2])
    rows = Span(image.height, extent[1], extent[3], size[1], window[1], window[3])
    out = _run(image, _method(columns, rows, interpolation))
    return out if image.mode == "L" else out.reshape(len(out), -1, 3)


def _method(columns: Span, rows: Span, interpolation: Interpolation) -> _Method:
    whole = columns.whole_scale, rows.whole_scale
    if interpolation is Interpolation.OPENCV_NEAREST:
        return _Method(_nearest_taps(columns), _nearest_taps(rows), _join_one)
    if interpolation is Interpolation.OPENCV_CUBIC:
        return _Method(_cubic_taps(columns), _cubic_taps(rows), _join_cubic)
    if interpolation is Interpolation.OPENCV_LINEAR and whole != (2, 2):
        return _Method(_linear_taps(columns), _linear_taps(rows), _join_linear)
    if columns.scale < 1 or rows.scale < 1:
        return _Method(_enlarged_area_taps(columns), _enlarged_area_taps(rows), _join_linear)
    if None not in whole:
        # Linear comes here too, where both sides are halved.
        join = _join_four if whole == (2, 2) else _join_mean
        across, down = _whole_taps(columns), _whole_taps(rows)
        share = np.float32(1 / np.float32(len(across.places) * len(down.places)))
        return _Method(across, Taps(down.places, np.full_like(down.weights, share, np.float32)), join)
    return _Method(_area_taps(columns), _area_taps(rows), _join_area)


def _run(image: Image.Image, method: _Method) -> Pixels:
    """Resample strips of the output, each of whole rows: [rows, samples]."""
    columns = _of_samples(method.columns, len(image.getbands()))
    taps, height = method.rows.places.shape
    out = np.empty((height, columns.places.shape[1]), np.uint8)
    first, last = int(method.rows.places.min()), int(method.rows.places.max())
    strip = max(1, int(_ROWS_AT_ONCE / max(taps, (last - first) / height)))
    for top in range(0, height, strip):
        part = slice(top, top + strip)
        used, numbers = np.unique(method.rows.places[:, part], return_inverse=True)
        first, last = int(used[0]), int(used[-1]) + 1
        source = np.asarray(image.crop((0, first, image.width, last))).reshape(last - first, -1)
        across = _across(source[used - first], columns)
        joined = [across[number] for number in numbers.reshape(taps, -1)]
        out[part] = method.join(joined, list(method.rows.weights[:, part, None]))
    return out


def _of_samples(taps: Taps, channels: int) -> Taps:
    """Return the taps of pixels as those of samples: each channel of its own."""
    places = (taps.places[..., None] * channels + np.arange(channels)).reshape(len(taps.places), -1)
    return Taps(places, np.repeat(taps.weights, channels, axis=1))


def _across(rows: Pixels, columns: Taps) -> Samples:
    """Resample along the rows, [rows, samples], in the datatype of the weights, tap after tap as OpenCV does."""
    total = np.zeros((len(rows), columns.places.shape[1]), columns.weights.dtype)
    for places, weights in zip(columns.places, columns.weights, strict=True):
        total += rows.take(places, axis=1) * weights
    return total


def _nearest_taps(span: Span) -> Taps:
    places = np.floor(span.start + span.wanted() * span.scale).astype(np.int64)[None]
    return Taps(span.inside(places), np.ones(places.shape, np.int32))


def _centers(span: Span) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the pixel of the source at or before the centre of each of the output, and what is left over of it."""
    exact = (span.start + (span.wanted() + 0.5) * span.scale - 0.5).astype(np.float32)
    before = np.floor(exact)
    return before.astype(np.int64), exact - before


def _fixed(span: Span, first: NDArray[np.int64], weights: list[NDArray[np.float32]]) -> Taps:
    """Return taps at `first` and after it, with weights of 11 bits."""
    places = first + np.arange(len(weights))[:, None]
    return Taps(span.inside(places), np.rint(np.stack(weights) * _ONE).astype(np.int32))


def _linear_taps(span: Span) -> Taps:
    before, rest = _centers(span)
    return _fixed(span, before, [1 - rest, rest])


def _cubic_taps(span: Span) -> Taps:
    before, rest = _centers(span)
    a, b, c = _SHARPNESS, _SHARPNESS + 2, _SHARPNESS + 3
    far = ((a * (rest + 1) - 5 * a) * (rest + 1) + 8 * a) * (rest + 1) - 4 * a
    near = (b * rest - c) * rest * rest + 1
    next_ = (b * (1 - rest) - c) * (1 - rest) * (1 - rest) + 1
    return _fixed(span, before - 1, [far, near, next_, 1 - far - near - next_])


def _enlarged_area_taps(span: Span) -> Taps:
    """Return linear taps that leave each pixel of the source as flat as its area in the output allows."""
    place = span.wanted()
    before = np.floor(place * span.scale)
    rest = ((place + 1) - (before + 1) * span.inverse).astype(np.float32)
    rest = np.where(rest <= 0, np.float32(0), rest - np.floor(rest))
    return _fixed(span, before.astype(np.int64) + int(span.start), [1 - rest, rest])


def _whole_taps(span: Span) -> Taps:
    scale = round(span.scale)
    places = int(span.start) + span.wanted() * scale + np.arange(scale)[:, None]
    return Taps(span.inside(places), np.ones(places.shape, np.int32))


def _area_taps(span: Span) -> Taps:
    """Return each pixel's share of the source: whole pixels, and a part of one at either end."""
    left = span.start + span.wanted() * span.scale
    right = left + span.scale
    covered = np.minimum(span.scale, span.stop - left)
    stop = np.minimum(np.floor(right), np.ceil(span.stop) - 1)
    begin = np.minimum(np.ceil(left), stop)
    head = np.where(begin - left > _NOTHING, begin - left, 0)
    tail = np.where(right - stop > _NOTHING, np.minimum(np.minimum(right - stop, 1), covered), 0)
    places = begin - 1 + np.arange(int((stop - begin).max()) + 2)[:, None]
    shares = np.select([places < begin, places < stop, places == stop], [head, np.ones_like(places), tail], 0)
    return Taps(span.inside(places.astype(np.int64)), (shares / covered).astype(np.float32))


def _join_one(rows: list[Samples], _: list[Samples]) -> Pixels:
    return np.asarray(rows[0], np.uint8)


def _join_linear(rows: list[Samples], weights: list[Samples]) -> Pixels:
    """Join two rows, of which OpenCV drops 4 bits before it multiplies, and 16 after."""
    upper, lower = (((row >> 4) * weight) >> 16 for row, weight in zip(rows, weights, strict=True))
    return np.asarray((upper + lower + 2) >> 2, np.uint8)


def _join_cubic(rows: list[Samples], weights: list[Samples]) -> Pixels:
    """Join four rows, from the last to the first, in float32, whose 24 bits round the products."""
    shares = (weight.astype(np.float32) / (_ONE * _ONE) for weight in reversed(weights))
    return _rounded(_sum(row.astype(np.float32) * share for row, share in zip(reversed(rows), shares, strict=True)))


def _join_area(rows: list[Samples], shares: list[Samples]) -> Pixels:
    return _rounded(_sum(row * share for row, share in zip(rows, shares, strict=True)))


def _join_four(rows: list[Samples], _: list[Samples]) -> Pixels:
    """Join two rows of sums to means of four, with halves rounded up."""
    return np.asarray((rows[0] + rows[1] + 2) >> 2, np.uint8)


def _join_mean(rows: list[Samples], shares: list[Samples]) -> Pixels:
    return _rounded(_sum(iter(rows)).astype(np.float32) * shares[0])


def _sum(terms: Iterator[Samples]) -> Samples:
    """Add from first to last: the order counts where sums are rounded."""
    total = next(terms)
    for term in terms:
        total = total + term
    return total


def _rounded(samples: Samples) -> Pixels:
    """Round halves to even, as OpenCV's vectors do."""
    return np.asarray(np.rint(samples).clip(0, 255), np.uint8)
