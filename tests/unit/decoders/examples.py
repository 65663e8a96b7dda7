"""Outputs of every detector's convention, small and made up: the rules, the arrays, and their axes of any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from serving.decoders import Array, Decoder, decoder_type

SIZE: Final = (32, 64)
"""Height and width of the input."""
CLASSES: Final = 3
ROWS: Final = 2
"""Pictures of an example, but for conventions that take them one by one."""


@dataclass(frozen=True)
class Example:
    """What a graph of one convention gives. `rows` stands for the batch where the first axis is none."""

    decoder: str
    outputs: Mapping[str, Array]
    """By the names that they have in the graph."""
    rules: Mapping[str, Any] = field(default_factory=dict)

    def bound(self, labels: int = CLASSES, **rules: Any) -> Decoder[Any]:
        kind = decoder_type("detection", self.decoder)
        given = kind.rules_type.model_validate({"decoder": self.decoder} | dict(self.rules) | rules)
        return kind(given, SIZE, labels)


def random(*shape: int, low: float = 0.0, high: float = 1.0) -> Array:
    return np.random.default_rng(sum(shape)).uniform(low, high, shape).astype(np.float32)


def centers(*shape: int) -> Array:
    """Boxes of centre and size, in pixels."""
    middles = random(*shape, 2) * np.array([SIZE[1], SIZE[0]], np.float32)
    return np.concatenate([middles, random(*shape, 2, low=2, high=20)], -1)


def corners(*shape: int) -> Array:
    """Boxes of corners, in pixels."""
    boxes = centers(*shape)
    return np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def class_ids(*shape: int, first: int = 0) -> Array:
    return np.random.default_rng(7).integers(first, first + CLASSES, shape)


def _rows(columns: int, count: int = 40) -> Array:
    """YOLO's rows: centre and size, then scores."""
    return np.concatenate([centers(ROWS, count), random(ROWS, count, columns)], -1)


def _end_to_end() -> Array:
    scores, classes = random(ROWS, 40, 1), class_ids(ROWS, 40, 1).astype(np.float32)
    return np.concatenate([corners(ROWS, 40), scores, classes], -1)


def _end2end() -> Array:
    numbers, classes = np.zeros((17, 1), np.float32), class_ids(17, 1).astype(np.float32)
    return np.concatenate([numbers, corners(17), classes, random(17, 1)], -1)


def _tensorflow(counts: Array) -> dict[str, Array]:
    return {
        "detection_boxes": random(ROWS, 10, 4),
        "detection_scores": -np.sort(-random(ROWS, 10)),
        "detection_classes": class_ids(ROWS, 10, first=1).astype(np.float32),
        "num_detections": counts,
    }


def _nms(selected: Array) -> dict[str, Array]:
    return {"boxes": corners(1, 30), "scores": random(1, CLASSES, 30), "selected_indices": selected}


_CELLS = sum(SIZE[0] // stride * (SIZE[1] // stride) for stride in (8, 16, 32))
_SELECTED = np.array([[0, 1, 29], [0, 0, 3], [0, 2, 3], [0, 1, 0]])

EXAMPLES: Final[Mapping[str, Example]] = {
    "yolov5": Example("yolov5", {"output": _rows(1 + CLASSES)}),
    "yolov5 in FP16": Example("yolov5", {"output": _rows(1 + CLASSES).astype(np.float16)}),
    "yolov8": Example("yolov8", {"output0": _rows(CLASSES).transpose(0, 2, 1).copy()}),
    "yolov8 transposed": Example("yolov8", {"output0": _rows(CLASSES)}, {"transposed": True}),
    "yolov8 of PaddleDetection": Example(
        "yolov8",
        {"concat_14.tmp_0": np.concatenate([corners(ROWS, 40), random(ROWS, 40, CLASSES)], -1)},
        {"transposed": True, "box_format": "corners"},
    ),
    "yolov10": Example("yolov10", {"output0": _end_to_end()}),
    "yolov10 of RT-DETR": Example(
        "yolov10", {"output0": _end_to_end()}, {"box_format": "center", "box_unit": "normalized"}
    ),
    "yolov7_end2end": Example("yolov7_end2end", {"output": _end2end()}),
    "yolov7_end2end of YOLO-NAS": Example(
        "yolov7_end2end",
        {"graph2_flat_predictions": _end2end()[:, [0, 1, 2, 3, 4, 6, 5]]},
        {"score_first": True},
    ),
    "yolox": Example("yolox", {"output": random(ROWS, _CELLS, 5 + CLASSES)}),
    "yolox decoded": Example("yolox", {"output": _rows(1 + CLASSES)}, {"decoded": True}),
    "ssd": Example("ssd", {"boxes": random(ROWS, 30, 4), "scores": random(ROWS, 30, CLASSES + 1)}),
    "ssd with softmax": Example(
        "ssd",
        {"boxes": random(ROWS, 30, 4), "scores": random(ROWS, 30, CLASSES + 1, low=-9, high=9)},
        {"activation": "softmax", "background": "last", "multi_label": False},
    ),
    "ssd of YOLOv4": Example(
        "ssd",
        {"boxes": corners(ROWS, 30)[:, :, None] / 64, "confs": random(ROWS, 30, CLASSES)},
        {"scores": "confs", "background": "none", "box_format": "corners", "multi_label": False},
    ),
    "ssd of PaddleDetection": Example(
        "ssd",
        {"boxes": corners(ROWS, 30), "scores": random(ROWS, CLASSES, 30)},
        {"background": "none", "box_format": "corners", "box_unit": "pixels", "transposed": True},
    ),
    "tensorflow": Example("tensorflow", _tensorflow(np.array([4, 10], np.float32))),
    "tensorflow with a column of counts": Example("tensorflow", _tensorflow(np.array([[0], [3]], np.int32))),
    "tensorflow without counts": Example(
        "tensorflow",
        {name: array for name, array in _tensorflow(np.zeros(ROWS)).items() if name != "num_detections"},
        {"num_detections": None},
    ),
    "tensorflow of EfficientNMS": Example(
        "tensorflow",
        {
            "num_dets": np.array([[7], [2]], np.int32),
            "det_boxes": corners(ROWS, 10),
            "det_scores": -np.sort(-random(ROWS, 10)),
            "det_classes": class_ids(ROWS, 10).astype(np.int32),
        },
        {
            "num_detections": "num_dets",
            "boxes": "det_boxes",
            "scores": "det_scores",
            "classes": "det_classes",
            "box_format": "corners",
            "box_unit": "pixels",
            "first_class": 0,
        },
    ),
    "detr": Example(
        "detr", {"logits": random(ROWS, 20, CLASSES + 1, low=-9, high=9), "pred_boxes": random(ROWS, 20, 4)}
    ),
    "detr with sigmoid": Example(
        "detr",
        {"logits": random(ROWS, 20, CLASSES, low=-9, high=9), "pred_boxes": random(ROWS, 20, 4)},
        {"activation": "sigmoid"},
    ),
    "rtdetr": Example(
        "rtdetr", {"labels": class_ids(ROWS, 20), "boxes": corners(ROWS, 20), "scores": random(ROWS, 20)}
    ),
    "torchvision": Example(
        "torchvision", {"boxes": corners(11), "labels": class_ids(11, first=1), "scores": random(11)}
    ),
    "mmdeploy": Example("mmdeploy", {"dets": _end_to_end()[..., :5], "labels": class_ids(ROWS, 40)}),
    "paddle_detection": Example(
        "paddle_detection",
        {"multiclass_nms3_0.tmp_0": _end2end()[:, [5, 6, 1, 2, 3, 4]], "multiclass_nms3_0.tmp_2": np.array([17])},
        {"tensor": "multiclass_nms3_0.tmp_0"},
    ),
    "onnx_nms": Example("onnx_nms", _nms(_SELECTED)),
    "onnx_nms filled up": Example(
        "onnx_nms", _nms(np.concatenate([_SELECTED, np.full((5, 3), -1)])[None].astype(np.int32))
    ),
}
