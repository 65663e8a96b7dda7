"""Where labels stand: near their boxes, within the canvas, and never one on another.

The labels come in the order of their importance. For each, places are tried around its box, and then farther off; of
those that are free, the best is taken: near, and hiding little of other objects. A label without a free place is left
out. Greedy and without chance, so that the same picture is always drawn alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from transformer.drawing.frame import Rect

GAP: Final = 1
"""Pixels between two labels."""
HIDING: Final = 2.0
"""What it costs to hide the whole of an object, where `ABOVE` costs nothing and a place far off at least `FAR`."""
SHORTER: Final = 0.4
"""What it costs to show the next shorter text."""
FAR: Final = 1.0
FAR_STEP: Final = 0.2
"""What a place far off costs for each height of the label that it is away."""
REACH: Final = 7
"""How many heights of the label it may be away."""
CHOICE: Final = 64
"""Of how many free places the objects that they hide are looked at."""
ROOM: Final = 0.25
"""The share of the canvas that labels take: with more, the picture would not be seen."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Label:
    """A label that looks for a place: its object's box, and the sizes (width, height) of its texts, the best first."""

    box: Rect
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label stands, and which of its texts it shows."""

    rect: Rect
    text: int


def place_labels(labels: Sequence[Label], width: int, height: int) -> list[Place | None]:
    """Return a place on a canvas of `width` x `height` for each label; None where there is none."""
    boxes = np.array([label.box for label in labels], np.float64).reshape(-1, 4)
    taken = np.empty((len(labels), 4))
    placed: list[Place | None] = []
    count, room = 0, ROOM * width * height
    for label in labels:
        place = _place(label, boxes, taken[:count], (width, height)) if room > 0 else None
        placed.append(place)
        if place is not None:
            left, top, right, bottom = place.rect
            taken[count] = left - GAP, top - GAP, right + GAP, bottom + GAP
            count += 1
            room -= (right - left) * (bottom - top)
    return placed


def _place(label: Label, boxes: Floats, taken: Floats, canvas: tuple[int, int]) -> Place | None:
    """Return the best place for one label: around its box, or, where all are poor, farther off."""
    best, least = None, np.inf
    for find in (_around, _far_off):
        for text, size in enumerate(label.sizes):
            rects, costs = _free(*find(label.box, size, canvas), size, taken, canvas)
            costs = costs + text * SHORTER + HIDING * _hidden(rects, boxes)
            if len(costs) and costs.min() < least:
                chosen = int(np.argmin(costs))
                left, top, right, bottom = map(int, rects[chosen])
                best, least = Place((left, top, right, bottom), text), costs[chosen]
        if least <= FAR:
            break
    return best


def _free(
    corners: Floats, costs: Floats, size: tuple[int, int], taken: Floats, canvas: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Return, of the places at `corners` [k, 2], those that are free and on the canvas, [j, 4], the cheapest first."""
    rects = np.concatenate([corners, corners + size], axis=1)
    inside = (corners >= 0).all(axis=1) & (rects[:, 2:] <= canvas).all(axis=1)
    rects, costs = rects[inside], costs[inside]
    free = ~_common(rects, taken).any(axis=1)
    rects, costs = rects[free], costs[free]
    cheapest = np.argsort(costs, kind="stable")[:CHOICE]
    return rects[cheapest], costs[cheapest]


def _around(box: Rect, size: tuple[int, int], canvas: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the upper left corners [k, 2] of places that touch the box, and what each costs, [k].

    They slide along the box to stay on the canvas.
    """
    (left, top, right, bottom), (width, height) = box, size
    start, end = max(0, min(left, canvas[0] - width)), max(0, min(right, canvas[0]) - width)
    places = (
        (start, top - height, 0.0),  # above
        (start, top, 0.1),  # inside
        (end, top - height, 0.2),
        (end, top, 0.25),
        (start, bottom, 0.3),  # below
        (start, bottom - height, 0.35),
        (end, bottom, 0.4),
        (end, bottom - height, 0.45),
        (right, max(0, top), 0.5),  # beside
        (left - width, max(0, top), 0.5),
        (right, bottom - height, 0.55),
        (left - width, bottom - height, 0.55),
    )
    array = np.array(places, np.float64)
    return array[:, :2], array[:, 2]


def _far_off(box: Rect, size: tuple[int, int], canvas: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return places as `_around` does, that are joined to the box by a line."""
    (left, top, right, bottom), (width, height) = box, size
    across = np.arange(-REACH * height, REACH * height + 1, height)
    down = np.arange(1, REACH + 1) * height
    xs = np.concatenate([left + across, right - width + across]).clip(0, max(0, canvas[0] - width))
    ys = np.concatenate([top - height - down, bottom + down, top + down, np.arange(top, top + 1)])
    grid_x, grid_y = np.meshgrid(xs, ys)
    corners = np.stack([grid_x.ravel(), grid_y.ravel()], axis=1).astype(np.float64)
    gap_x = np.maximum(0, np.maximum(left - corners[:, 0] - width, corners[:, 0] - right))
    gap_y = np.maximum(0, np.maximum(top - corners[:, 1] - height, corners[:, 1] - bottom))
    return corners, FAR + FAR_STEP * np.hypot(gap_x, gap_y) / height


def _hidden(rects: Floats, boxes: Floats) -> Floats:
    """Return the sum [k] of the shares of `boxes` [n, 4] that each of `rects` [k, 4] covers."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    hidden: Floats = (_common(rects, boxes) / areas).sum(axis=1)
    return hidden


def _common(rects: Floats, others: Floats) -> Floats:
    """Return the area [k, n] that each two of `rects` [k, 4] and `others` [n, 4] have in common."""
    low = np.maximum(rects[:, None, :2], others[None, :, :2])
    high = np.minimum(rects[:, None, 2:], others[None, :, 2:])
    common: Floats = (high - low).clip(0).prod(axis=2)
    return common
