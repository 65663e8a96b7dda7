"""The outlines of a mask as polygons.

They are drawn on the model's map and then brought to the original picture, where they are as exact as the map is: the
mask of a large picture has no more corners than that of a small one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, cast

import numpy as np
from contourpy import FillType, contour_generator
from numpy.typing import NDArray

from serving.decoders import Array
from transformer.masks.sampling import Sampling

OF_STEPS: Final = 0.5
"""How far, in points of the map, a simplified outline may be from that of a map of two values. The steps of a slanted
edge are within 0.35 of a line, and so become one.
"""
OF_LEVELS: Final = 0.15
"""The same of a map of levels, between whose points an outline runs smoothly."""
SMALLEST: Final = 2.0
"""The smallest area, in square points of the map, that is outlined, or left out as a hole."""

Ring = NDArray[np.float64]
"""[k, 2]: x and y of a closed line, whose last corner leads to its first."""
_Filled = tuple[list[Ring | None], list[NDArray[np.uint32] | None], list[NDArray[np.uint32] | None]]
"""What contourpy gives: for its one part of the map three arrays, or None where there is nothing."""

Polygon = list[Ring]
"""An outline, and then the holes in it."""


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of a map that a sampling reads: first row and column, and those behind the last."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of(cls, sampling: Sampling, shape: tuple[int, ...]) -> _Window:
        rows, columns = sampling.nearest(shape)
        return cls(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def outlines(values: Array, level: float, sampling: Sampling, tolerance: float) -> list[Polygon]:
    """Return the polygons around what is at least `level` of the map `values`, in pixels of the original.

    Corners are left out as long as the outline stays within `tolerance`, in points of the map. Only what `sampling`
    sees of the map counts. Areas and holes under `SMALLEST` are left out.
    """
    if not (sampling.width and sampling.height):
        return []
    window = _Window.of(sampling, values.shape)
    framed = _framed(values[window.top : window.bottom, window.left : window.right].astype(np.float64), level)
    # The centre of the first point behind the frame lies at half a point.
    x = np.arange(framed.shape[1]) - 0.5 + window.left
    y = np.arange(framed.shape[0]) - 0.5 + window.top
    fill_type = FillType.ChunkCombinedOffsetOffset
    # All corners in one array, where each ring begins, and with which ring each polygon begins.
    generator = contour_generator(x, y, framed, fill_type=fill_type)
    [points], [starts], [firsts] = cast("_Filled", generator.filled(level, np.inf))
    if points is None or starts is None or firsts is None:
        return []
    is_large = _areas(points, starts) >= SMALLEST
    return [
        [
            _to_original(_simplified(points[starts[ring] : starts[ring + 1] - 1], tolerance), sampling)
            for ring in range(first, behind)
            if is_large[ring]
        ]
        for first, behind in pairwise(firsts.tolist())
        if is_large[first]
    ]


def _framed(values: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Return the map in a frame under the level, so that what reaches the edge is closed there.

    The frame is as far under the level as its neighbour is over it, so that the outline runs along the edge itself.
    """
    framed = np.pad(values, 1, mode="edge")
    for edge in (framed[0], framed[-1], framed[:, 0], framed[:, -1]):
        np.minimum(edge, 2 * level - edge, out=edge)
    return framed


def _areas(points: Ring, starts: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return what each ring encloses, by the shoelace formula; a ring ends with its first corner."""
    x, y = points.T
    products = np.zeros(len(points))
    products[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
    products[starts[1:] - 1] = 0  # between two rings
    return np.abs(np.add.reduceat(products, starts[:-1].astype(np.intp))) / 2


def _to_original(ring: Ring, sampling: Sampling) -> Ring:
    """Bring points of the map to the window's pixels; no corner passes its edge."""
    columns = _linear(ring[:, 0], sampling.x, sampling.left)
    rows = _linear(ring[:, 1], sampling.y, sampling.top)
    return np.stack([columns, rows], axis=1)


def _linear(positions: NDArray[np.float64], centers: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """Return where `positions` on the map lie among the pixels whose `centers` are given, the first pixel's edge being
    `first`.
    """
    if len(centers) == 1:
        return np.where(positions < centers[0], first, first + 1).astype(np.float64)
    step = (centers[-1] - centers[0]) / (len(centers) - 1)
    return np.asarray(((positions - centers[0]) / step + 0.5).clip(0, len(centers)) + first)


def _simplified(ring: Ring, tolerance: float) -> Ring:
    """Leave out the corners that stand within the tolerance of what is then the outline (Douglas and Peucker 1973).

    A ring is two lines: from its outermost corner to the one farthest from that, and back.
    """
    ring = np.roll(ring, -int(np.argmax(((ring - ring.mean(axis=0)) ** 2).sum(axis=1))), axis=0)
    opposite = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.concatenate([ring, ring[:1]])
    kept = np.zeros(len(closed), np.bool_)
    kept[[0, opposite]] = True
    waiting = [(0, opposite), (opposite, len(ring))]
    while waiting:
        start, stop = waiting.pop()
        if stop - start < 2:  # noqa: PLR2004  # nothing stands between two neighbours
            continue
        distances = _distances(closed[start + 1 : stop], closed[start], closed[stop])
        farthest = int(np.argmax(distances))
        if distances[farthest] > tolerance:
            middle = start + 1 + farthest
            kept[middle] = True
            waiting += [(start, middle), (middle, stop)]
    return closed[kept] if np.count_nonzero(kept) > 2 else ring  # noqa: PLR2004  # a line encloses nothing


def _distances(points: Ring, start: NDArray[np.float64], stop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far points are from a line between two."""
    along = stop - start
    length = float(np.hypot(*along))
    offsets = points - start
    if length == 0:
        return np.asarray(np.hypot(offsets[:, 0], offsets[:, 1]))
    return np.asarray(np.abs(offsets[:, 0] * along[1] - offsets[:, 1] * along[0]) / length)


def rings_json(polygons: Sequence[Polygon]) -> list[list[list[list[float]]]]:
    """Return polygons as GeoJSON's MultiPolygon has its coordinates, to a hundredth of a pixel, but not closed."""
    return [[np.round(ring, 2).tolist() for ring in polygon] for polygon in polygons]
