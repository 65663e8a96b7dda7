"""Recognisers of outputs: from shapes, names and last nodes to the ways to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from inspection.outputs import detection, instance_segmentation, segmentation, vectors
from inspection.outputs.reading import Reading, Scene
from inspection.outputs.segmentation import is_deeplab, is_u2net

__all__ = ["RECOGNISERS", "Reading", "Scene", "is_deeplab", "is_u2net", "readings", "why_none"]

Recogniser = Callable[[Scene], Iterator[Reading]]

RECOGNISERS: Final[tuple[Recogniser, ...]] = (
    detection.read,
    segmentation.read,
    vectors.read,
)


def readings(scene: Scene) -> list[Reading]:
    """Return every way to read the outputs that shapes and names allow."""
    masks = list(instance_segmentation.read(scene))  # whose boxes alone look like a detector's with more classes
    return masks or [reading for read in RECOGNISERS for reading in read(scene)]


def why_none(scene: Scene) -> str:
    """Say of outputs that no decoder reads what they look like, and what to export in their place; empty if nothing
    comes to mind.
    """
    return next((sentence for applies, sentence in _LOOKS if applies(scene)), "")


def _are_raw_heads(scene: Scene) -> bool:
    maps = scene.of_rank(4)
    return bool(scene.of_rank(5)) or (len(scene.outputs) in (2, 3) and len(maps) == len(scene.outputs))


def _are_of_mmdeploy(scene: Scene) -> bool:
    return {value.name for value in scene.outputs} >= {"dets", "labels"}


def _are_of_efficientdet(scene: Scene) -> bool:
    return any((value.size(1), value.size(2)) == (100, 7) for value in scene.of_rank(3))


def _are_keypoints(scene: Scene) -> bool:
    """Whether they are a box, a score, and 17 keypoints of 3 numbers."""
    return any(value.size(1) in (56, 57) for value in scene.outputs)


_LOOKS: Final[tuple[tuple[Callable[[Scene], bool], str], ...]] = (
    (
        detection.is_undecoded,
        (
            "their boxes are measured from anchors, which the file does not hold: export it with the decoding, so that "
            "boxes come in pixels or shares"
        ),
    ),
    (
        _are_raw_heads,
        (
            "they look like a detector's raw heads, one for each stride: export it with its detection layer, which "
            "decodes them (YOLOv7: --grid; YOLOv5: without --train)"
        ),
    ),
    (
        _are_of_mmdeploy,
        "they are MMDeploy's `dets` and `labels` with a mask for each box, which no decoder reads",
    ),
    (
        _are_of_efficientdet,
        (
            "they look like EfficientDet's rows of picture, box, score and class: export it as TensorFlow's detection "
            "API does, with detection_boxes, detection_scores and detection_classes"
        ),
    ),
    (_are_keypoints, "they look like a pose estimator's, whose keypoints are no task of kserve-vision"),
)
