"""Decoders: what the outputs of a model mean, one module for each convention, found by task and name here.

A decoder is a small program (see `ops`). The predictor writes it into the graph, so that only what the answer is made
of crosses the wire; the transformer runs it in NumPy where the predictor is somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from serving.decoders.base import FINITE, Decoder, OutputRules, Reduced, match_sizes
from serving.decoders.classification import Logits, Probabilities, Sigmoid
from serving.decoders.detr import Detr
from serving.decoders.embedding import Vector
from serving.decoders.instances import Yolo26Seg, YoloV5Seg, YoloV8Seg
from serving.decoders.mmdeploy import MmDeploy
from serving.decoders.onnx_nms import OnnxNms
from serving.decoders.ops import Array, NotCompilable, NumpyOps, Ops, Shape
from serving.decoders.paddle_detection import PaddleDetection
from serving.decoders.raw import Tensors
from serving.decoders.rtdetr import RtDetr
from serving.decoders.segmentation import ClassLogits, ClassMap, Masks
from serving.decoders.ssd import Ssd
from serving.decoders.tensorflow import TensorFlow
from serving.decoders.torchvision import Torchvision
from serving.decoders.yolov5 import YoloV5
from serving.decoders.yolov7_end2end import YoloV7End2End
from serving.decoders.yolov8 import YoloV8
from serving.decoders.yolov10 import YoloV10
from serving.decoders.yolox import YoloX

__all__ = [
    "DECODERS",
    "FINITE",
    "Array",
    "Decoder",
    "NotCompilable",
    "NumpyOps",
    "Ops",
    "OutputRules",
    "Reduced",
    "Shape",
    "check_task",
    "decoder_type",
    "match_sizes",
]

DECODERS: Final[Mapping[str, Mapping[str, type[Decoder[Any]]]]] = {
    "classification": {
        "logits": Logits,
        "probabilities": Probabilities,
        "sigmoid": Sigmoid,
    },
    "detection": {
        "yolov5": YoloV5,
        "yolov8": YoloV8,
        "yolov10": YoloV10,
        "yolov7_end2end": YoloV7End2End,
        "yolox": YoloX,
        "ssd": Ssd,
        "tensorflow": TensorFlow,
        "detr": Detr,
        "rtdetr": RtDetr,
        "torchvision": Torchvision,
        "mmdeploy": MmDeploy,
        "paddle_detection": PaddleDetection,
        "onnx_nms": OnnxNms,
    },
    "segmentation": {
        "logits": ClassLogits,
        "class_map": ClassMap,
        "masks": Masks,
    },
    "instance_segmentation": {
        "yolov8_seg": YoloV8Seg,
        "yolov5_seg": YoloV5Seg,
        "yolo26_seg": Yolo26Seg,
    },
    "embedding": {
        "vector": Vector,
    },
    "raw": {
        "tensors": Tensors,
    },
}
"""The decoders of each task, by the names that `output.decoder` may have."""


def check_task(task: str) -> None:
    """Raise a `ValueError` that names the tasks where `task` is none."""
    if task not in DECODERS:
        raise ValueError(f"{task!r:.80} is no task: one of {', '.join(DECODERS)} is expected")


def decoder_type(task: str, name: str) -> type[Decoder[Any]]:
    """Return the decoder of a task.

    Raises:
        ValueError: it has none of that name; the message names those it has.
    """
    check_task(task)
    if name not in DECODERS[task]:
        close = get_close_matches(name, DECODERS[task], n=1)
        hint = f"did you mean {close[0]}? For {task}," if close else f"for {task},"
        raise ValueError(f"decoder is {name!r:.80}: {hint} one of {', '.join(DECODERS[task])} is expected")
    return DECODERS[task][name]
