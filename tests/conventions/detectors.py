"""The real YOLOv4-tiny, its graph made to end as other exports do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

import zoo
from predictor.graph import read_graph
from serving.contract import ModelDirectory, load_model_directory
from serving.decoders import Array
from tests.conventions.ending import Detector
from tests.conventions.known_photos import with_known_photos
from tests.conventions.serving_path import directory
from tests.photos import PHOTOS, photo_bytes
from transformer.pictures import Limits, Prepared, prepare, to_model_input

CONFIDENCE: Final = 0.03
"""Low, so that every photo has boxes."""
IOU: Final = 0.45

N: Final = Detector.BOXES
SIZES: Final = "orig_target_sizes"
SCALE: Final = "scale_factor"
NMS: Final[dict[str, Any]] = {"nms": {"iou_threshold": IOU}}
COCO_91: Final = [
    n for n in range(1, 91) if n not in {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
]  # fmt: skip
"""COCO's own numbers of its 80 classes."""


@dataclass(frozen=True)
class Convention:
    """A way for a graph to end, the output rules for it, and what else of the contract it changes."""

    end: Callable[[Detector], None]
    rules: Mapping[str, Any]
    multi_label: bool = False
    """Whether a box can be found as several classes."""
    input: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = CONFIDENCE
    """The threshold, where FP16 is too coarse for the small boxes of low scores: from 256 on it counts in quarters."""
    gaps: bool = False
    """Whether class ids have gaps, those of COCO's own numbers."""


def _rows(d: Detector, boxes: str) -> str:
    return d("Concat", boxes, d.objectness, d.classes, axis=2)


def _itself(d: Detector) -> None:
    d.give("rows", d.output, ["batch", N, 85])


def _yolov5_fp16(d: Detector) -> None:
    d.give("output", d.output, ["batch", N, 85], "FP16")


def _yolov5_share(d: Detector) -> None:
    d.give("output", _rows(d, d.share(d.centers)), ["batch", N, 85])


def _yolov8(d: Detector) -> None:
    rows = d("Concat", d.centers, d.scores, axis=2)
    d.give("output0", d("Transpose", rows, perm=[0, 2, 1]), ["batch", 84, N])


def _yolov8_transposed_fp16(d: Detector) -> None:
    d.give("output0", d("Concat", d.centers, d.scores, axis=2), ["batch", N, 84], "FP16")


def _yolov8_of_bytes(d: Detector) -> None:
    _yolov8(d)
    d.take_bytes()


def _yolov8_of_paddle(d: Detector) -> None:
    """PaddleDetection with `exclude_post_process=True`."""
    d.give("concat_14.tmp_0", d("Concat", d.corners, d.scores, axis=2), ["batch", N, 84])


def _yolov10(d: Detector) -> None:
    """The 300 best boxes, as a one-to-one head gives them, though these overlap."""
    d.give("output0", _best_rows(d, d.corners), ["batch", 300, 6])


def _yolov10_of_rtdetr(d: Detector) -> None:
    """Ultralytics' RT-DETR from 8.4 on."""
    d.give("output0", _best_rows(d, d.share(d.centers)), ["batch", 300, 6])


def _mmdeploy(d: Detector) -> None:
    rows = _best_rows(d, d.corners)
    d.give("dets", d.columns(rows, 0, 5), ["batch", 300, 5])
    d.give("labels", d.reshape(d("Cast", d.columns(rows, 5, 6), to=7), 0, -1), ["batch", 300], "INT64")


def _best_rows(d: Detector, boxes: str) -> str:
    """The 300 best boxes [n, 300, 6], each with its score and its class."""
    scores = d.scores
    best, classes = d("ReduceMax", scores, axes=[2], keepdims=1), d("ArgMax", scores, axis=2, keepdims=1)
    rows = d("Concat", boxes, best, d("Cast", classes, to=1), axis=2)
    _, places = _top(d, d.reshape(best, 0, -1), 300)
    wide = d("Expand", d.reshape(places, 0, -1, 1), np.array([1, 1, 6]))
    return d("GatherElements", rows, wide, axis=1)


def _yolov10_with_nms(d: Detector) -> None:
    """Ultralytics with `nms=True`: 300 rows of one picture, zeros at the end."""
    d.fix_batch()
    boxes, scores, classes = _best_class_chosen(d)
    rows = d("Concat", boxes, scores, classes, axis=1)
    d.give("output0", d.reshape(_padded(d, rows, 300), 1, 300, 6), [1, 300, 6])


def _yolov7_end2end(d: Detector) -> None:
    boxes, scores, classes = _best_class_chosen(d)
    d.give("output", d("Concat", d("Mul", scores, 0.0), boxes, classes, scores, axis=1), ["found", 7])


def _yolov7_end2end_of_yolo_nas(d: Detector) -> None:
    boxes, scores, classes = _best_class_chosen(d)
    rows = d("Concat", d("Mul", scores, 0.0), boxes, scores, classes, axis=1)
    d.give("graph2_flat_predictions", rows, ["found", 7])


def _best_class_chosen(d: Detector) -> tuple[str, str, str]:
    """Boxes [M, 4], scores [M, 1], classes [M, 1]: YOLOv7's own way, in which classes are held apart by moving them."""
    boxes, scores = d.corners, d.scores
    best, classes = d("ReduceMax", scores, axes=[2], keepdims=1), d("ArgMax", scores, axis=2, keepdims=1)
    classes = d("Cast", classes, to=1)
    apart = d("Add", boxes, d("Mul", classes, 1024.0))
    places = d.selected(apart, d("Transpose", best, perm=[0, 2, 1]), CONFIDENCE, IOU)
    rows = d("Concat", d.columns(places, 0, 1, axis=1), d.columns(places, 2, 3, axis=1), axis=1)
    return d("GatherND", boxes, rows), d("GatherND", best, rows), d("GatherND", classes, rows)


def _yolox(d: Detector) -> None:
    """Each box in a cell of its own, whichever: what matters is that the cell's place is undone."""
    grids = []
    for stride in (8, 16, 32):
        cells = d.SIZE // stride
        grids += [(x, y, stride) for y in range(cells) for x in range(cells)]
    cell = np.array(grids, np.float32)[None]
    batch = d("Slice", d("Shape", d.output), np.array([0]), np.array([1]))
    missing = d("Concat", batch, np.array([len(grids) - N, 85]), axis=0)
    rows = d("Concat", d("Expand", np.full((1, 1, 1), 1e-9), missing), _rows(d, d.centers), axis=1)
    strides = cell[:, :, 2:]
    middles = d("Sub", d("Div", d.columns(rows, 0, 2), strides), cell[:, :, :2])
    sizes = d("Log", d("Div", d.columns(rows, 2, 4), strides))
    d.give("output", d("Concat", middles, sizes, d.columns(rows, 4, 85), axis=2), ["batch", len(grids), 85])


def _yolox_decoded(d: Detector) -> None:
    _itself(d)


def _ssd(d: Detector) -> None:
    nothing = d("Mul", d.objectness, 0.5)
    d.give("boxes", d.yx(d.share(d.corners)), ["batch", N, 4])
    d.give("scores", d("Concat", nothing, d.scores, axis=2), ["batch", N, 81])


def _ssd_softmax(d: Detector) -> None:
    d.give("boxes", d.yx(d.corners), ["batch", N, 4])
    d.give("scores", d.logarithms(d.best_scores, first=True), ["batch", N, 81])


def _ssd_sigmoid_with_gaps(d: Detector) -> None:
    d.give("boxes", d.share(d.corners), ["batch", N, 4])
    scores = d("Concat", d.scores, d("Mul", d.objectness, 0.0), axis=2)
    places = [COCO_91.index(number) if number in COCO_91 else 80 for number in range(1, 91)]
    spread = d("Gather", d.logits(scores), np.array(places), axis=2)
    d.give("scores", spread, ["batch", N, 90])


def _ssd_of_yolov4(d: Detector) -> None:
    d.give("boxes", d("Unsqueeze", d.share(d.corners), np.array([2])), ["batch", N, 1, 4])
    d.give("confs", d.scores, ["batch", N, 80])


def _scaled(d: Detector, boxes: str) -> str:
    """Boxes [n, N, 4] divided by PaddleDetection's `scale_factor`."""
    sizes = d.take_size(SCALE)
    width, height = d.columns(sizes, 1, 2, axis=1), d.columns(sizes, 0, 1, axis=1)
    numbers = d("Cast", d("Concat", width, height, width, height, axis=1), to=1)
    return d("Div", boxes, d("Unsqueeze", numbers, np.array([1])))


def _ssd_of_paddle(d: Detector) -> None:
    """PP-YOLOE with `exclude_nms=True`."""
    d.give("boxes", _scaled(d, d.corners), ["batch", N, 4])
    d.give("scores", d("Transpose", d.scores, perm=[0, 2, 1]), ["batch", 80, N])


def _paddle_detection(d: Detector) -> None:
    """PP-YOLOE as it is, with NMS."""
    boxes, scores, classes = d.chosen(CONFIDENCE, IOU)
    boxes = d.reshape(_scaled(d, d.reshape(boxes, 1, -1, 4)), -1, 4)
    rows = d("Concat", d.reshape(d("Cast", classes, to=1), -1, 1), d.reshape(scores, -1, 1), boxes, axis=1)
    d.give("multiclass_nms3_0.tmp_0", rows, ["found", 6])
    d.give("multiclass_nms3_0.tmp_2", d("Cast", d("Shape", scores), to=6), [1], "INT32")


def _tensorflow(d: Detector) -> None:
    d.fix_batch()
    boxes, scores, classes = d.chosen(CONFIDENCE, IOU)
    best, places = _top(d, d.reshape(_padded(d, d.reshape(scores, -1, 1), 200), 1, -1), 100)
    places = d.reshape(places, -1)
    boxes = d.share(d.yx(d.reshape(_padded(d, boxes, 200), 1, -1, 4)))
    classes = d("Add", _padded(d, d.reshape(d("Cast", classes, to=1), -1, 1), 200), 1.0)
    count = d("Min", d("Cast", d("Shape", scores), to=1), np.array([100.0]))
    # Rows beyond the count hold what must not be found.
    there = d("Less", np.arange(100, dtype=np.float32)[None], count)
    d.give("detection_boxes", d("Gather", boxes, places, axis=1), [1, 100, 4])
    d.give("detection_scores", d("Where", there, best, np.ones((1, 100))), [1, 100])
    d.give("detection_classes", d("Gather", d.reshape(classes, 1, -1), places, axis=1), [1, 100])
    d.give("num_detections", count, [1])


def _detr(d: Detector) -> None:
    d.give("logits", d.logarithms(d.best_scores, first=False), ["batch", N, 81])
    d.give("pred_boxes", d.share(d.centers), ["batch", N, 4])


def _detr_sigmoid(d: Detector) -> None:
    d.give("labels", d.logits(d.scores), ["batch", N, 80])
    d.give("dets", d.share(d.centers), ["batch", N, 4])


def _rtdetr(d: Detector) -> None:
    sizes = d.take_size(SIZES)
    scores, places = _top(d, d.reshape(d.scores, 0, -1), 600)
    rows = d("Div", places, np.array(80))
    boxes = d("Mul", d.share(d.corners), d("Unsqueeze", d("Concat", sizes, sizes, axis=1), np.array([1])))
    wide = d("Expand", d("Unsqueeze", rows, np.array([2])), np.array([1, 1, 4]))
    d.give("labels", d("Mod", places, np.array(80)), ["batch", 600], "INT64")
    d.give("boxes", d("GatherElements", boxes, wide, axis=1), ["batch", 600, 4])
    d.give("scores", scores, ["batch", 600])


def _torchvision(d: Detector) -> None:
    boxes, scores, classes = d.chosen(CONFIDENCE, IOU)
    d.give("boxes", boxes, ["found", 4])
    d.give("labels", d("Add", classes, np.array(1)), ["found"], "INT64")
    d.give("scores", scores, ["found"])


def _onnx_nms(d: Detector) -> str:
    boxes, scores = d.yx(d.corners), d("Transpose", d.scores, perm=[0, 2, 1])
    d.give("boxes", boxes, ["batch", N, 4])
    d.give("scores", scores, ["batch", 80, N])
    return d.selected(boxes, scores, CONFIDENCE, IOU)


def _onnx_nms_plain(d: Detector) -> None:
    d.give("selected_indices", _onnx_nms(d), ["found", 3], "INT64")


def _onnx_nms_filled_up(d: Detector) -> None:
    selected = d("Concat", _onnx_nms(d), np.full((7, 3), -1), axis=0)
    d.give("selected_indices", d("Unsqueeze", selected, np.array([0])), [1, "found", 3], "INT32")


def _top(d: Detector, values: str, count: int) -> tuple[str, str]:
    """The best of [n, N], and their places."""
    values_of_best = d("TopK", values, np.array([count]), axis=1)
    node = d.model.graph.node[-1]
    node.output.append(f"{values_of_best}_places")
    return values_of_best, node.output[1]


def _padded(d: Detector, rows: str, count: int) -> str:
    """[M, columns] as [count, columns], zeros at the end."""
    found = d("Shape", rows)
    missing = d("Sub", np.array([count]), d("Slice", found, np.array([0]), np.array([1])))
    return d("Pad", rows, d("Concat", np.array([0, 0]), missing, np.array([0]), axis=0))


BY_ITSELF: Final = "yolov5"
"""The convention that the graph has as it stands."""

CONVENTIONS: Final[Mapping[str, Convention]] = {
    BY_ITSELF: Convention(_itself, {"decoder": "yolov5"}),
    "yolov5 in FP16": Convention(_yolov5_fp16, {"decoder": "yolov5"}, confidence=0.25),
    "yolov5 as shares": Convention(_yolov5_share, {"decoder": "yolov5", "box_unit": "normalized"}),
    "yolov8": Convention(_yolov8, {"decoder": "yolov8"}),
    "yolov8 transposed, in FP16": Convention(
        _yolov8_transposed_fp16, {"decoder": "yolov8", "transposed": True}, confidence=0.25
    ),
    "yolov8 of bytes": Convention(
        _yolov8_of_bytes, {"decoder": "yolov8"}, input={"layout": "NHWC", "datatype": "UINT8"}
    ),
    "yolov8 of PaddleDetection": Convention(
        _yolov8_of_paddle, {"decoder": "yolov8", "transposed": True, "box_format": "corners"}
    ),
    "yolov10": Convention(_yolov10, {"decoder": "yolov10", **NMS}),
    "yolov10 of RT-DETR": Convention(
        _yolov10_of_rtdetr, {"decoder": "yolov10", "box_format": "center", "box_unit": "normalized", **NMS}
    ),
    "yolov10 with NMS inside": Convention(_yolov10_with_nms, {"decoder": "yolov10"}),
    "yolov7_end2end": Convention(_yolov7_end2end, {"decoder": "yolov7_end2end"}),
    "yolov7_end2end of YOLO-NAS": Convention(
        _yolov7_end2end_of_yolo_nas, {"decoder": "yolov7_end2end", "score_first": True}
    ),
    "yolox": Convention(_yolox, {"decoder": "yolox"}),
    "yolox decoded": Convention(_yolox_decoded, {"decoder": "yolox", "decoded": True}),
    "ssd": Convention(_ssd, {"decoder": "ssd"}, multi_label=True),
    "ssd with softmax": Convention(
        _ssd_softmax, {"decoder": "ssd", "activation": "softmax", "box_unit": "pixels", "multi_label": False}
    ),
    "ssd with sigmoid and gaps": Convention(
        _ssd_sigmoid_with_gaps,
        {"decoder": "ssd", "activation": "sigmoid", "background": "none", "box_format": "corners"},
        multi_label=True,
        gaps=True,
    ),
    "ssd of YOLOv4": Convention(
        _ssd_of_yolov4,
        {"decoder": "ssd", "scores": "confs", "background": "none", "box_format": "corners", "multi_label": False},
    ),
    "tensorflow": Convention(_tensorflow, {"decoder": "tensorflow"}, multi_label=True),
    "detr": Convention(_detr, {"decoder": "detr", **NMS}),
    "detr with sigmoid": Convention(
        _detr_sigmoid,
        {"decoder": "detr", "logits": "labels", "boxes": "dets", "activation": "sigmoid", **NMS},
        multi_label=True,
    ),
    "rtdetr": Convention(
        _rtdetr, {"decoder": "rtdetr", **NMS}, multi_label=True, input={"tensor": "input", "size_tensor": SIZES}
    ),
    "torchvision": Convention(_torchvision, {"decoder": "torchvision"}, multi_label=True),
    "ssd of PaddleDetection": Convention(
        _ssd_of_paddle,
        {"decoder": "ssd", "background": "none", "box_format": "corners", "transposed": True},
        multi_label=True,
        input={"tensor": "input", "size_tensor": SCALE, "size_order": "height_width"},
    ),
    "paddle_detection": Convention(
        _paddle_detection,
        {"decoder": "paddle_detection", "tensor": "multiclass_nms3_0.tmp_0", "box_unit": "normalized"},
        multi_label=True,
        input={"tensor": "input", "size_tensor": SCALE, "size_order": "height_width"},
    ),
    "mmdeploy": Convention(_mmdeploy, {"decoder": "mmdeploy", **NMS}),
    "onnx_nms": Convention(_onnx_nms_plain, {"decoder": "onnx_nms"}, multi_label=True),
    "onnx_nms filled up": Convention(_onnx_nms_filled_up, {"decoder": "onnx_nms"}, multi_label=True),
}
"""By what they show."""

_CONTRACT: Final[dict[str, Any]] = {
    "input.height": 416,
    "input.width": 416,
    "input.resize": {"rule": "letterbox"},
    "batching.max_batch_size": 2,
}


@cache
def yolov4_tiny() -> ModelDirectory:
    return load_model_directory(zoo.pull_cached("yolov4-tiny"))


@cache
def network() -> onnx.ModelProto:
    return read_graph(yolov4_tiny().model_path)


@cache
def photos() -> dict[str, Prepared]:
    """Every photo as the model takes it: all conventions have the same input."""
    return {name: prepare(photo_bytes(name), yolov4_tiny().contract.input, Limits()) for name in PHOTOS}


@cache
def numbers() -> Array:
    """The photos' pixels as the network takes them, [photos, 3, 416, 416]."""
    pixels = np.stack([picture.pixels for picture in photos().values()])
    return to_model_input(pixels, yolov4_tiny().contract.input)


@cache
def known_photos() -> onnx.ModelProto:
    """What takes the network's place where only photos are asked about."""
    return with_known_photos(network(), numbers())


def labels_of_coco() -> tuple[str, ...]:
    return yolov4_tiny().labels


def write(convention: Convention, folder: Path, *, whole: bool = False) -> Path:
    """Write the model directory of a convention: for the photos alone, or the whole network."""
    detector = Detector(network() if whole else known_photos())
    labels = labels_of_coco()
    convention.end(detector)
    changes = _CONTRACT | {f"input.{key}": value for key, value in convention.input.items()}
    changes["output"] = dict(convention.rules) | {"confidence_threshold": convention.confidence}
    made = directory(folder, detector.model, "\n".join(labels), changes)
    if convention.gaps:
        gaps = {number - 1: label for number, label in zip(COCO_91, labels, strict=True)}
        (made / "labels.json").write_text(json.dumps(gaps), "utf-8")
        contract = (made / "model.yaml").read_text("utf-8")
        (made / "model.yaml").write_text(contract.replace("labels.txt", "labels.json"), "utf-8")
    return made
