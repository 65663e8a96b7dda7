"""From a map over the model's input to the pixels of the original picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.decoders import Array
from transformer.pictures import Prepared

Positions = NDArray[np.float64]

ROWS: Final = 256
"""How many rows of the original are computed at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """Where the pixels of a window of the original lie on a map whose height and width cover the model's input.

    `left` and `top` are the window's first pixel; `x` and `y` are the centres of its columns and rows, in points of the
    map, whose first point reaches from 0 to 1.
    """

    left: int
    top: int
    x: Positions
    y: Positions

    @classmethod
    def of(cls, picture: Prepared, shape: tuple[int, ...]) -> Sampling:
        """Return the sampling of a map of `shape`, [h, w]; the window is all of the picture that the model has seen."""
        height, width = shape
        input_height, input_width, _ = picture.pixels.shape
        x, y = picture.geometry.centers()
        left, right = _range(x, 0, input_width)
        top, bottom = _range(y, 0, input_height)
        return cls(left, top, x[left:right] * (width / input_width), y[top:bottom] * (height / input_height))

    @property
    def width(self) -> int:
        """Of the window, in pixels of the original."""
        return len(self.x)

    @property
    def height(self) -> int:
        """Of the window, in pixels of the original."""
        return len(self.y)

    def within(self, box: tuple[float, float, float, float]) -> Sampling:
        """Return the part of the window whose pixels have their centres in `box`: left, top, right, bottom, in pixels
        of the original.
        """
        x0, x1 = _range(np.arange(self.width, dtype=np.float64), box[0] - self.left - 0.5, box[2] - self.left - 0.5)
        y0, y1 = _range(np.arange(self.height, dtype=np.float64), box[1] - self.top - 0.5, box[3] - self.top - 0.5)
        return Sampling(self.left + x0, self.top + y0, self.x[x0:x1], self.y[y0:y1])

    def on_part(self, left: int, top: int) -> Sampling:
        """Return the same window on a part of the map that begins at its column `left` and its row `top`."""
        return Sampling(self.left, self.top, self.x - left, self.y - top)

    def every(self, step: int) -> Sampling:
        """Return the window with only each `step`-th of its columns and rows, from the middle of the first ones on."""
        columns, rows = (
            slice(min(step // 2, size - 1) if size else 0, None, step) for size in (self.width, self.height)
        )
        return Sampling(self.left, self.top, self.x[columns], self.y[rows])

    def nearest(self, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return, for each row and each column of the window, the row and the column of the map that it lies in."""
        return _cells(self.y, shape[0]), _cells(self.x, shape[1])

    def bilinear(self, values: Array) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the values of the map, interpolated, some rows at a time with the place of the first.

        The rows are as wide as the window. A large picture is so never held as floats.
        """
        if not self.width:
            return
        columns, right, share = _neighbours(self.x, values.shape[1])
        above, below, down = _neighbours(self.y, values.shape[0])
        for start in range(0, self.height, ROWS):
            some = slice(start, start + ROWS)
            first, last = int(above[some][0]), int(below[some][-1])
            used = values[first : last + 1].astype(np.float32, copy=False)
            wide = _mixed(used[:, columns], used[:, right], share)
            yield start, _mixed(wide[above[some] - first], wide[below[some] - first], down[some, None])


def _range(centers: Positions, low: float, high: float) -> tuple[int, int]:
    """Return the first of the rising `centers` that is not under `low`, and the first that is not under `high`."""
    start, stop = np.searchsorted(centers, [low, high])
    return int(start), int(max(start, stop))


def _cells(positions: Positions, size: int) -> NDArray[np.intp]:
    return np.floor(positions).astype(np.intp).clip(0, size - 1)


def _neighbours(positions: Positions, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return the points before and after each position, and the share of the one after; the edges go on outside."""
    centres = (positions - 0.5).clip(0, size - 1)
    before = np.floor(centres).astype(np.intp)
    return before, np.minimum(before + 1, size - 1), (centres - before).astype(np.float32)


def _mixed(first: NDArray[np.float32], second: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `first` and `second`, which are changed, in one array, `share` of the second."""
    second -= first
    second *= share
    second += first
    return second
