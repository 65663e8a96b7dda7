"""The real DeepLab, its graph made to end as other exports do, and a detector with masks that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tests.conventions.ending import Detector, Ending

CLASSES: Final = 21
POINTS: Final = 65
"""Points of the logits on each side."""
SIZE: Final = 513
"""Pixels of the input on each side; a point of the logits is eight pixels from the next."""


@dataclass(frozen=True)
class Convention:
    """A way for a graph to end, and the output rules for it."""

    end: Callable[[Ending], None]
    rules: Mapping[str, Any] = field(default_factory=dict)


def _enlarged(e: Ending) -> str:
    """The logits at the input's size, [n, 21, 513, 513]."""
    batch = e("Slice", e("Shape", e.output), np.array([0]), np.array([1]))
    sizes = e("Concat", batch, np.array([CLASSES, SIZE, SIZE]), axis=0)
    nothing = np.array([], np.float32)
    return e("Resize", e.output, nothing, nothing, sizes, mode="linear", coordinate_transformation_mode="align_corners")


def _itself(e: Ending) -> None:
    e.give("logits_out", e.output, ["batch", CLASSES, POINTS, POINTS])


def _channels_last(e: Ending) -> None:
    last = e("Transpose", e.output, perm=[0, 2, 3, 1])
    e.give("logits_out", last, ["batch", POINTS, POINTS, CLASSES])


def _fp16_among_others(e: Ending) -> None:
    e.give("auxiliary", e("Neg", e.output), ["batch", CLASSES, POINTS, POINTS])
    e.give("out", e.output, ["batch", CLASSES, POINTS, POINTS], "FP16")


def _stride_1(e: Ending) -> None:
    e.give("logits_out", _enlarged(e), ["batch", CLASSES, SIZE, SIZE])


def _class_map(e: Ending) -> None:
    e.give("classes", e("ArgMax", _enlarged(e), axis=1, keepdims=0), ["batch", SIZE, SIZE], "INT64")


def _class_map_of_bytes(e: Ending) -> None:
    e.give("classes", e("ArgMax", _enlarged(e), axis=1, keepdims=1), ["batch", 1, SIZE, SIZE], "UINT8")


def _masks(e: Ending) -> None:
    """Each class by itself: its logit over the best of the others."""
    logits = _enlarged(e)
    best = e("ReduceMax", logits, axes=[1], keepdims=1)
    is_best = e("Equal", logits, best)
    others = e("ReduceMax", e("Where", is_best, -1e9, logits), axes=[1], keepdims=1)
    margin = e("Sub", logits, e("Where", is_best, others, best))
    e.give("masks", margin, ["batch", CLASSES, SIZE, SIZE])


CONVENTIONS: Final[Mapping[str, Convention]] = {
    "as it is": Convention(_itself, {"upsample": "align_corners"}),
    "channels last": Convention(_channels_last, {"upsample": "align_corners", "channels": "last"}),
    "FP16 among others": Convention(_fp16_among_others, {"upsample": "align_corners", "tensor": "out"}),
    "stride 1": Convention(_stride_1),
    "class map": Convention(_class_map, {"decoder": "class_map"}),
    "class map of bytes": Convention(_class_map_of_bytes, {"decoder": "class_map"}),
    "masks": Convention(_masks, {"decoder": "masks"}),
}

PROTOTYPES: Final = 104
"""Points on each side of the prototypes, four pixels apart."""


def _with_prototypes(d: Detector) -> str:
    """Give prototypes that are 1, x, y and noise, and return coefficients [n, N, 4].

    A box's mask is what of it lies above its rising diagonal: a line through its centre, which a bilinear interpolation
    keeps exactly.
    """
    centres = np.arange(PROTOTYPES, dtype=np.float32) * 4 + 2
    down, across = np.meshgrid(centres, centres, indexing="ij")
    noise = np.random.default_rng(0).normal(size=down.shape).astype(np.float32)
    prototypes = np.stack([np.ones_like(across), across, down, noise])[None]
    # As many as there are pictures.
    one = d("Mul", d("ReduceMean", d.output, axes=[1, 2], keepdims=1), 0.0)
    d.give("output1", d("Add", d.reshape(one, 0, 1, 1, 1), prototypes), ["batch", 4, PROTOTYPES, PROTOTYPES])
    boxes = d.centers
    x, y, width, height = (d.columns(boxes, at, at + 1) for at in range(4))
    # (x - cx) / w + (y - cy) / h < 0, times w h, and over w + h, which keeps the numbers near 1.
    constant = d("Add", d("Mul", x, height), d("Mul", y, width))
    rows = d("Concat", constant, d("Neg", height), d("Neg", width), d("Mul", x, 0.0), axis=2)
    return d("Div", rows, d("Add", width, height))


def _yolov8_seg(d: Detector) -> None:
    rows = d("Concat", d.centers, d.scores, _with_prototypes(d), axis=2)
    d.give("output0", d("Transpose", rows, perm=[0, 2, 1]), ["batch", 88, d.BOXES])


def _yolov5_seg(d: Detector) -> None:
    rows = d("Concat", d.output, _with_prototypes(d), axis=2)
    d.give("output0", rows, ["batch", d.BOXES, 89])


def _yolo26_seg(d: Detector) -> None:
    """The best class of every box, as an export with `nms=True` gives those that it keeps."""
    scores = d.scores
    best, classes = d("ReduceMax", scores, axes=[2], keepdims=1), d("ArgMax", scores, axis=2, keepdims=1)
    rows = d("Concat", d.corners, best, d("Cast", classes, to=1), _with_prototypes(d), axis=2)
    d.give("output0", rows, ["batch", d.BOXES, 10])


INSTANCES: Final[Mapping[str, Callable[[Detector], None]]] = {
    "yolov8_seg": _yolov8_seg,
    "yolov5_seg": _yolov5_seg,
    "yolo26_seg": _yolo26_seg,
}
