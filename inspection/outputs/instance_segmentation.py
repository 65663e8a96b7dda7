"""Recognising YOLO's instance segmentation: boxes with coefficients, and prototypes of masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from inspection.evidence import Sure
from inspection.outputs.reading import Reading, Scene

_BOX: Final = 4
_FINISHED: Final = 6
_FEW: Final = 1000
"""Rows up to which a graph has chosen."""


def is_finished(scene: Scene) -> bool:
    """Whether the graph has chosen its boxes: rows of four sides, score, class and coefficients, and prototypes."""
    rows, maps = scene.of_rank(3), scene.of_rank(4)
    if len(rows) != 1 or len(maps) != 1:
        return False
    masks, count = maps[0].size(1), rows[0].size(1)
    return masks is not None and rows[0].size(2) == _FINISHED + masks and (count is None or count <= _FEW)


def read(scene: Scene) -> Iterator[Reading]:
    """Tell the ways to read the outputs as boxes with masks."""
    rows, maps = scene.of_rank(3), scene.of_rank(4)
    if len(rows) != 1 or len(maps) != 1:
        return
    value, prototypes = rows[0], maps[0]
    masks = prototypes.size(1)
    if masks is None:
        return
    first, last = value.size(1), value.size(2)
    if is_finished(scene):
        yield Reading(
            "instance_segmentation",
            "yolo26_seg",
            Sure.DERIVED,
            f"the outputs {value} and {prototypes}: four sides, score, class, and {masks} coefficients a box",
            {"tensor": value.name, "prototypes": prototypes.name},
            used=(value.name, prototypes.name),
        )
        return
    if first is not None and first > _BOX + masks and (last is None or last > first):
        decoder, classes = "yolov8_seg", first - _BOX - masks
    elif last is not None and last > _BOX + 1 + masks and (first is None or first > last):
        decoder, classes = "yolov5_seg", last - _BOX - 1 - masks
    else:
        return
    yield Reading(
        "instance_segmentation",
        decoder,
        Sure.DERIVED if scene.classes in (None, classes) else Sure.GUESSED,
        f"the outputs {value} and {prototypes}: {masks} coefficients a box, and as many prototypes",
        {"tensor": value.name, "prototypes": prototypes.name},
        classes,
        (value.name, prototypes.name),
    )
