"""Non-maximum suppression: of boxes that overlap, the best stays."""

from __future__ import annotations

from typing import Final

import numpy as np

from serving.decoders import Array

_AT_ONCE: Final = 64
"""How many boxes are held against all worse ones in one go. Measured for 1000 boxes: fewer take more rounds, more
compare boxes that are gone already."""


def suppress(boxes: Array, classes: Array | None, iou_threshold: float, limit: int) -> Array:
    """Return the places of the boxes that stay, best first, and of no more than the first `limit` of them.

    `boxes` is FP32 [N, 4], left, top, right, bottom, the best first. With `classes` `[N]`, a box gives way only to a
    better one of its own class. Two boxes overlap by the area that both cover over the area that either covers.
    """
    areas = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    stay: list[Array] = []
    found = 0
    waiting = np.arange(len(boxes))
    while waiting.size and found < limit:
        block, others = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        chosen = block[_greedy(_overlapping(boxes, areas, classes, block, block, iou_threshold))]
        stay.append(chosen)
        found += chosen.size
        waiting = others[~_overlapping(boxes, areas, classes, chosen, others, iou_threshold).any(axis=0)]
    return np.concatenate(stay)[:limit] if stay else np.arange(0)


def _greedy(overlapping: Array) -> list[int]:
    """Return the places that stay, of boxes of which it is known, `[N, N]`, which overlap which."""
    gone = np.zeros(len(overlapping), np.bool_)
    stay = []
    for place, row in enumerate(overlapping):
        if not gone[place]:
            stay.append(place)
            gone |= row
    return stay


def _overlapping(  # noqa: PLR0913, PLR0917  # arrays that belong together
    boxes: Array, areas: Array, classes: Array | None, some: Array, others: Array, iou_threshold: float
) -> Array:
    """Tell which of the boxes at the places `some` overlap which of `others` by more than the threshold: BOOL."""
    left, top, right, bottom = boxes[some].T[:, :, None]
    other_left, other_top, other_right, other_bottom = boxes[others].T[:, None]
    across = np.minimum(right, other_right) - np.maximum(left, other_left)
    down = np.minimum(bottom, other_bottom) - np.maximum(top, other_top)
    common = np.maximum(across, 0) * np.maximum(down, 0)
    # Compared without dividing, so that boxes without an area need no case of their own.
    found: Array = common > iou_threshold * (areas[some][:, None] + areas[others] - common)
    return found if classes is None else found & (classes[some][:, None] == classes[others])
