"""A plain reference: from YOLOv4-tiny's own rows to boxes of the photo, in loops, with nothing of the package's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZE = 416


@dataclass(frozen=True)
class Box:
    label: str
    score: float
    corners: tuple[float, float, float, float]


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return across * down / (sum(areas) - across * down)


def boxes_of(  # noqa: PLR0913  # the whole of a detector's rules
    rows: NDArray[np.float32],
    photo: tuple[int, int],
    labels: list[str],
    confidence: float,
    overlap: float,
    *,
    multi_label: bool,
) -> list[Box]:
    """What rows `[2535, 85]` say of a photo of `width, height` that was letterboxed in the middle of 416 x 416."""
    found: list[tuple[float, int, tuple[float, float, float, float]]] = []
    for row in rows.astype(np.float64):
        if row[4] < confidence:
            continue
        scores = row[4] * row[5:]
        x, y, width, height = row[:4]
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        classes = range(80) if multi_label else [int(scores.argmax())]
        found += [(float(scores[each]), each, corners) for each in classes if scores[each] >= confidence]
    kept: list[tuple[float, int, tuple[float, float, float, float]]] = []
    for candidate in sorted(found, reverse=True):
        if all(candidate[1] != other[1] or iou(candidate[2], other[2]) <= overlap for other in kept):
            kept.append(candidate)
    return [Box(labels[each], score, _on_photo(corners, photo)) for score, each, corners in kept]


def _on_photo(box: tuple[float, float, float, float], photo: tuple[int, int]) -> tuple[float, float, float, float]:
    scale = SIZE / max(photo)
    sides = [round(side * scale) for side in photo]
    moved = []
    for at, edge in enumerate(box):
        axis = at % 2
        place = (edge - (SIZE - sides[axis]) // 2) * photo[axis] / sides[axis]
        moved.append(min(max(place, 0.0), float(photo[axis])))
    return moved[0], moved[1], moved[2], moved[3]
