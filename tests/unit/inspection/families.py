"""Exports of thirty families, and the contract of each: what its makers' own code does with a picture.

What a file says, or what follows from it, is written as it is; `GUESSED` and `OPEN` name the keys that are neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inspection import Answers
from tests.unit.inspection.exports import COCO_NAMES, HALF, IMAGENET, Export, Out, id2label, ultralytics

UNIT = {"scale": 1 / 255}
OF_IMAGENET = {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
OF_HALF = {"scale": 1 / 255, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
BYTES = {"scale": 1.0}


@dataclass(frozen=True)
class Family:
    """One export, and what an inspection of it comes to."""

    export: Export
    task: str
    output: Mapping[str, Any]
    resize: Mapping[str, Any]
    size: tuple[int, int] | None = (640, 640)
    normalize: Mapping[str, Any] = field(default_factory=lambda: UNIT)
    color: str = "rgb"
    layout: str = "NCHW"
    datatype: str = "FP32"
    labels: str | None = None
    batch: int | None = None
    license: str | None = None
    description: str | None = None
    guessed: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    answers: Answers = field(default_factory=Answers)
    second: Mapping[str, str] = field(default_factory=dict)
    """The keys of a second input."""

    def contract(self) -> dict[str, Any]:
        """Return the whole contract, but for the model's file."""
        inner: dict[str, Any] = {
            "resize": dict(self.resize),
            "color": self.color,
            "normalize": dict(self.normalize),
            "layout": self.layout,
            "datatype": self.datatype,
            **self.second,
        }
        if self.size:
            inner |= {"height": self.size[0], "width": self.size[1]}
        found: dict[str, Any] = {"task": self.task, "input": inner, "output": dict(self.output)}
        said = {"license": self.license, "description": self.description}
        if any(said.values()):
            found["model"] = {key: value for key, value in said.items() if value}
        if self.labels:
            found["labels"] = self.labels
        if self.batch:
            found["batching"] = {"max_batch_size": self.batch}
        return found


DESCRIPTION = "Ultralytics YOLOv8n model trained on coco.yaml"
LETTERBOX = {"rule": "letterbox"}
OPENCV = {"rule": "letterbox", "interpolation": "opencv_linear"}
STRETCH = {"rule": "stretch"}
CROP = {"rule": "crop", "shorter_side": 256}
FREE_224 = ("batch", 3, 224, 224)
HF_DYNAMIC = ("batch_size", "num_channels", "height", "width")
YOLO_GUESSES = frozenset({"input.resize", "input.color", "input.normalize"})
INPUT_GUESSES = frozenset({"input.resize", "input.color"})
TIMM: dict[str, Any] = {
    "architecture": "resnet50",
    "num_classes": 1000,
    "num_features": 2048,
    "pretrained_cfg": {
        "tag": "a1_in1k", "input_size": [3, 224, 224], "test_input_size": [3, 288, 288], "fixed_input_size": False,
        "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center", "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225], "num_classes": 1000, "pool_size": [7, 7], "first_conv": "conv1",
        "classifier": "fc", "license": "apache-2.0",
    },
}  # fmt: skip
VIT: dict[str, Any] = {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "image_processor_type": "ViTImageProcessor", **HALF,
    "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 224},
}  # fmt: skip
CLIP: dict[str, Any] = {
    "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
    "do_rescale": True, "do_resize": True, "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "CLIPImageProcessor", "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
    "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 224},
}  # fmt: skip
DETR: dict[str, Any] = {
    "do_normalize": True, "do_pad": True, "do_rescale": True, "do_resize": True, "format": "coco_detection", **IMAGENET,
    "image_processor_type": "DetrImageProcessor", "resample": 2, "rescale_factor": 0.00392156862745098,
    "size": {"longest_edge": 1333, "shortest_edge": 800},
}  # fmt: skip
RTDETR: dict[str, Any] = {
    "do_normalize": False, "do_pad": False, "do_rescale": True, "do_resize": True, **IMAGENET,
    "image_processor_type": "RTDetrImageProcessor", "resample": 2, "rescale_factor": 0.00392156862745098,
    "size": {"height": 640, "width": 640},
}  # fmt: skip
PADDLE_CLAS = """\
Global: {model_name: PP-LCNet_x1_0_doc_ori}
PreProcess:
  transform_ops:
  - ResizeImage: {resize_short: 256}
  - CropImage: {size: 224}
  - NormalizeImage: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: 0.00392156862745098, order: ''}
  - ToCHWImage: null
PostProcess:
  Topk: {topk: 1, label_list: ['0', '90', '180', '270']}
"""
PADDLE_DET = """\
mode: paddle
draw_threshold: 0.5
metric: COCO
arch: PicoDet
Preprocess:
- {type: Resize, interp: 2, keep_ratio: false, target_size: [416, 416]}
- {type: NormalizeImage, is_scale: true, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
- {type: Permute}
label_list: [person, bicycle, car]
"""
PADDLE_X = f"""\
Hpi:
  backend_configs:
    paddle_infer: {{trt_dynamic_shapes: &id001 {{x: [[1, 3, 224, 224], [8, 3, 224, 224]]}}}}
    tensorrt: {{dynamic_shapes: *id001}}
{PADDLE_CLAS}"""
PADDLE_YOLOE = """\
mode: paddle
draw_threshold: 0.5
metric: COCO
arch: YOLO
Preprocess:
- {type: Resize, interp: 2, keep_ratio: false, target_size: [640, 640]}
- {type: NormalizeImage, mean: [0.0, 0.0, 0.0], norm_type: none, std: [1.0, 1.0, 1.0]}
- {type: Permute}
"""
PADDLE_SEG = """\
Deploy:
  input_shape: [1, 3, 512, 1024]
  output_dtype: int32
  output_op: argmax
  transforms:
  - {type: Resize, target_size: [1024, 512]}
  - {type: Normalize}
  model: model.pdmodel
  params: model.pdiparams
"""
PIPELINE = {
    "pipeline": {
        "input": ["img"],
        "output": ["cls"],
        "tasks": [
            {
                "type": "Task", "module": "Transform", "name": "Preprocess", "input": ["img"], "output": ["prep"],
                "transforms": [
                    {"type": "LoadImageFromFile"},
                    {"type": "Resize", "keep_ratio": False, "size": [256, -1]},
                    {"type": "CenterCrop", "crop_size": [224, 224]},
                    {
                        "type": "Normalize", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375],
                        "to_rgb": True,
                    },
                ],
            },
            {"name": "resnet", "type": "Task", "module": "Net", "input": ["prep"], "output": ["infer"]},
            {"type": "Task", "module": "mmpretrain", "name": "postprocess", "component": "LinearClsHead"},
        ],
    }
}  # fmt: skip
PIPELINE_DET = {
    "pipeline": {
        "input": ["img"],
        "output": ["post_output"],
        "tasks": [
            {
                "type": "Task", "module": "Transform", "name": "Preprocess", "input": ["img"], "output": ["prep"],
                "transforms": [
                    {"type": "LoadImageFromFile"},
                    {"type": "Resize", "keep_ratio": True, "size": [800, 1333]},
                    {
                        "type": "Normalize", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375],
                        "to_rgb": True,
                    },
                    {"type": "Pad", "size_divisor": 32, "pad_val": {"img": [0, 0, 0]}},
                ],
            },
            {"name": "retinanet", "type": "Task", "module": "Net", "input": ["prep"], "output": ["infer"]},
            {"type": "Task", "module": "mmdet", "name": "postprocess", "component": "ResizeBBox"},
        ],
    }
}  # fmt: skip
LABELS_3 = "cat\ndog\nfish\n"

FAMILIES: Mapping[str, Family] = {
    "Ultralytics YOLOv8": Family(
        Export([Out("output0", (1, 84, 8400), ["Concat"])], metadata=ultralytics("detect", COCO_NAMES)),
        "detection", {"decoder": "yolov8"}, OPENCV, labels="labels.txt", batch=1, license="AGPL-3.0",
        description=DESCRIPTION,
    ),
    "Ultralytics YOLO11, dynamic": Family(
        Export(
            [Out("output0", ("batch", 84, "anchors"), ["Concat"])], ("batch", 3, "height", "width"),
            metadata=ultralytics("detect", COCO_NAMES),
        ),
        "detection", {"decoder": "yolov8"}, {**OPENCV, "multiple": 32}, labels="labels.txt", license="AGPL-3.0",
        description=DESCRIPTION,
    ),
    "Ultralytics YOLOv8, FP16": Family(
        Export(
            [Out("output0", (1, 7, 8400), ["Concat"], "FP16")], datatype="FP16",
            metadata=ultralytics("detect", {0: "a", 1: "b", 2: "c"}),
        ),
        "detection", {"decoder": "yolov8"}, OPENCV, datatype="FP16", labels="labels.txt", batch=1, license="AGPL-3.0",
        description=DESCRIPTION,
    ),
    "Ultralytics with nms=True, or YOLOv10": Family(
        Export([Out("output0", (1, 300, 6), ["Concat"])], metadata=ultralytics("detect", COCO_NAMES)),
        "detection", {"decoder": "yolov10"}, OPENCV, labels="labels.txt", batch=1, license="AGPL-3.0",
        description=DESCRIPTION,
    ),
    "Ultralytics YOLOv8-seg": Family(
        Export(
            [Out("output0", (1, 116, 8400), ["Concat"]), Out("output1", (1, 32, 160, 160), ["Relu"])],
            metadata=ultralytics("segment", COCO_NAMES),
        ),
        "instance_segmentation", {"decoder": "yolov8_seg", "tensor": "output0", "prototypes": "output1"}, OPENCV,
        labels="labels.txt", batch=1, license="AGPL-3.0", description=DESCRIPTION,
    ),
    "Ultralytics YOLOv8-cls": Family(
        Export(
            [Out("output0", (1, 3), ["Softmax"])], (1, 3, 224, 224),
            metadata=ultralytics("classify", {0: "a", 1: "b", 2: "c"}, imgsz=[224, 224]),
        ),
        "classification", {"decoder": "probabilities"}, {"rule": "crop", "shorter_side": 224}, (224, 224),
        labels="labels.txt", batch=1, license="AGPL-3.0", description=DESCRIPTION,
    ),
    "YOLOv5 of one class, dynamic": Family(
        Export(
            [Out("output0", ("batch", "anchors", 6), ["Concat"])], ("batch", 3, "height", "width"),
            metadata={"stride": 32, "names": {0: "plate"}},
        ),
        "detection", {"decoder": "yolov5"}, OPENCV, labels="labels.txt",
        guessed=frozenset({"input.height", "input.width"}),
    ),
    "EfficientNMS": Family(
        Export(
            [
                Out("num_dets", (1, 1), datatype="INT32"), Out("det_boxes", (1, 100, 4)), Out("det_scores", (1, 100)),
                Out("det_classes", (1, 100), datatype="INT32"),
            ],
        ),
        "detection",
        {
            "decoder": "tensorflow", "boxes": "det_boxes", "scores": "det_scores", "classes": "det_classes",
            "num_detections": "num_dets", "box_format": "corners", "box_unit": "pixels", "first_class": 0,
        },
        STRETCH, normalize=BYTES, batch=1, guessed=INPUT_GUESSES, open=frozenset({"input.normalize"}),
    ),
    "Ultralytics RT-DETR": Family(
        Export([Out("output0", (1, 300, 84), ["Concat"])], metadata=ultralytics("detect", COCO_NAMES)),
        "detection", {"decoder": "yolov8", "transposed": True, "box_unit": "normalized", "nms": None},
        {**STRETCH, "interpolation": "opencv_linear"}, labels="labels.txt", batch=1, license="AGPL-3.0",
        description=DESCRIPTION,
    ),
    "Ultralytics RT-DETR from 8.4 on": Family(
        Export(
            [Out("output0", (1, 300, 6), ["Concat"])],
            metadata=ultralytics("detect", COCO_NAMES, head="RTDETRDecoder", end2end=False, description="best"),
        ),
        "detection", {"decoder": "yolov10", "box_format": "center", "box_unit": "normalized"},
        {**STRETCH, "interpolation": "opencv_linear"}, labels="labels.txt", batch=1, license="AGPL-3.0",
        description="best",
    ),
    "Ultralytics YOLO26 from 8.4 on, which is not end to end": Family(
        Export(
            [Out("output0", (1, 84, 8400), ["Concat"])],
            metadata=ultralytics("detect", COCO_NAMES, head="Detect", end2end=False, description="Ultralytics YOLO26n"),
        ),
        "detection", {"decoder": "yolov8"}, OPENCV, labels="labels.txt", batch=1, license="AGPL-3.0",
        description="Ultralytics YOLO26n",
    ),
    "Ultralytics YOLO26, end to end": Family(
        Export(
            [Out("output0", (1, 300, 6), ["Concat"])],
            metadata=ultralytics("detect", COCO_NAMES, head="Detect", end2end=True, args={"nms": False}),
        ),
        "detection", {"decoder": "yolov10"}, OPENCV, labels="labels.txt", batch=1, license="AGPL-3.0",
        description=DESCRIPTION,
    ),
    "Ultralytics YOLOv8-seg with nms=True, and YOLO26-seg": Family(
        Export(
            [Out("output0", (1, 300, 38), ["Concat"]), Out("output1", (1, 32, 160, 160), ["Relu"])],
            metadata=ultralytics("segment", COCO_NAMES, args={"nms": True}),
        ),
        "instance_segmentation", {"decoder": "yolo26_seg", "tensor": "output0", "prototypes": "output1"}, OPENCV,
        labels="labels.txt", batch=1, license="AGPL-3.0", description=DESCRIPTION,
    ),
    "Ultralytics YOLO26-sem": Family(
        Export(
            [Out("output0", (1, 640, 640), ["ArgMax"], "UINT8")],
            metadata=ultralytics("semantic", {0: "road", 1: "sky"}, head="SemanticSegment"),
        ),
        "segmentation", {"decoder": "class_map"}, OPENCV, labels="labels.txt", batch=1, license="AGPL-3.0",
        description=DESCRIPTION,
    ),
    "super-gradients' batch format": Family(
        Export(
            [
                Out("graph2_num_predictions", (1, 1), datatype="INT64"), Out("graph2_pred_boxes", (1, 1000, 4)),
                Out("graph2_pred_scores", (1, 1000)), Out("graph2_pred_classes", (1, 1000), datatype="INT64"),
            ],
            name="input", datatype="UINT8",
        ),
        "detection",
        {
            "decoder": "tensorflow", "boxes": "graph2_pred_boxes", "scores": "graph2_pred_scores",
            "classes": "graph2_pred_classes", "num_detections": "graph2_num_predictions", "box_format": "corners",
            "box_unit": "pixels", "first_class": 0,
        },
        LETTERBOX, normalize=BYTES, datatype="UINT8", batch=1, guessed=INPUT_GUESSES,
    ),
    "super-gradients' flat format": Family(
        Export([Out("graph2_flat_predictions", ("n", 7))], name="input", datatype="UINT8"), "detection",
        {"decoder": "yolov7_end2end", "score_first": True}, LETTERBOX, normalize=BYTES, datatype="UINT8", batch=1,
        guessed=INPUT_GUESSES,
    ),
    "rows of another's NMS": Family(
        Export([Out("found", ("n", 7), ["Concat"])]), "detection", {"decoder": "yolov7_end2end"}, LETTERBOX, batch=1,
        guessed=YOLO_GUESSES, open=frozenset({"output"}),
    ),
    "Azure Custom Vision": Family(
        Export(
            [
                Out("detected_boxes", (1, "d", 4)), Out("detected_classes", (1, "d"), datatype="INT64"),
                Out("detected_scores", (1, "d")),
            ],
            (1, 3, 320, 320), "image_tensor", beside={"labels.txt": LABELS_3},
            metadata={"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255"},
        ),
        "detection",
        {
            "decoder": "tensorflow", "boxes": "detected_boxes", "scores": "detected_scores",
            "classes": "detected_classes", "num_detections": None, "box_format": "corners", "first_class": 0,
        },
        STRETCH, (320, 320), BYTES, "bgr", labels="labels.txt", batch=1, guessed=frozenset({"input.resize"}),
    ),
    "SSD of ONNX's model zoo": Family(
        Export(
            [Out("bboxes", (1, "n", 4)), Out("labels", (1, "n"), datatype="INT64"), Out("scores", (1, "n"))],
            (1, 3, 1200, 1200), "image",
        ),
        "detection",
        {
            "decoder": "tensorflow", "boxes": "bboxes", "scores": "scores", "classes": "labels",
            "num_detections": None, "box_format": "corners",
        },
        STRETCH, (1200, 1200), OF_IMAGENET, batch=1, guessed=YOLO_GUESSES,
    ),
    "finished boxes of nobody that is known": Family(
        Export([Out("labels", (1, 50), datatype="INT64"), Out("boxes", (1, 50, 4)), Out("scores", (1, 50))]),
        "detection",
        {
            "decoder": "tensorflow", "boxes": "boxes", "scores": "scores", "classes": "labels",
            "num_detections": None, "box_format": "corners", "box_unit": "pixels", "first_class": 0,
        },
        STRETCH, batch=1, guessed=INPUT_GUESSES, open=frozenset({"output", "input.normalize"}),
    ),
    "MMDeploy's detectors": Family(
        Export(
            [Out("dets", ("batch", 100, 5)), Out("labels", ("batch", 100), datatype="INT64")],
            ("batch", 3, "height", "width"), "input", beside={"pipeline.json": PIPELINE_DET},
        ),
        "detection", {"decoder": "mmdeploy"},
        {
            "rule": "shortest_edge", "shorter_side": 800, "longer_side": 1333, "interpolation": "opencv_linear",
            "multiple": 32, "pad": [0, 0, 0],
        },
        None, {"scale": 1.0, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
    ),
    "PaddleDetection, exclude_post_process": Family(
        Export(
            [Out("concat_14.tmp_0", (1, 8400, 84), ["Concat"])], name="image", producer="",
            beside={"infer_cfg.yml": PADDLE_YOLOE},
        ),
        "detection", {"decoder": "yolov8", "transposed": True, "box_format": "corners", "confidence_threshold": 0.5},
        {**STRETCH, "interpolation": "opencv_cubic"}, batch=1,
    ),
    "PaddleDetection, exclude_post_process, with nothing beside it": Family(
        Export([Out("concat_14.tmp_0", (1, 8400, 84), ["Concat"])], name="image", producer=""),
        "detection", {"decoder": "yolov8", "transposed": True, "box_format": "corners"},
        {**STRETCH, "interpolation": "opencv_cubic"}, batch=1, guessed=INPUT_GUESSES,
        open=frozenset({"input.normalize"}),
    ),
    "PaddleDetection with its NMS": Family(
        Export(
            [Out("multiclass_nms3_0.tmp_0", ("m", 6)), Out("multiclass_nms3_0.tmp_2", ("n",), datatype="INT32")],
            ("DynamicDimension.0", 3, 640, 640), "image", producer="", beside={"infer_cfg.yml": PADDLE_YOLOE},
            extra_inputs={"scale_factor": ("FP32", ("DynamicDimension.1", 2))},
        ),
        "detection",
        {
            "decoder": "paddle_detection", "tensor": "multiclass_nms3_0.tmp_0", "box_unit": "normalized",
            "confidence_threshold": 0.5,
        },
        {**STRETCH, "interpolation": "opencv_cubic"},
        second={"size_tensor": "scale_factor", "size_order": "height_width"},
    ),
    "PaddleDetection, exclude_nms": Family(
        Export(
            [Out("fetch_name_0", ("n", 400, 4), ["Concat"]), Out("fetch_name_1", ("n", 80, 400), ["Sigmoid"])],
            ("DynamicDimension.0", 3, 640, 640), "image", producer="", beside={"infer_cfg.yml": PADDLE_YOLOE},
            extra_inputs={"scale_factor": ("FP32", ("DynamicDimension.1", 2))},
        ),
        "detection",
        {
            "decoder": "ssd", "boxes": "fetch_name_0", "scores": "fetch_name_1", "transposed": True,
            "background": "none", "box_format": "corners", "confidence_threshold": 0.5,
        },
        {**STRETCH, "interpolation": "opencv_cubic"},
        second={"size_tensor": "scale_factor", "size_order": "height_width"},
    ),
    "a YOLOv8 that was turned": Family(
        Export([Out("output0", (1, 8400, 84), ["Transpose"])]), "detection", {"decoder": "yolov8", "transposed": True},
        LETTERBOX, batch=1, guessed=YOLO_GUESSES, open=frozenset({"output"}),
    ),
    "RT-DETRv2, its own export, which leaves all sizes open": Family(
        Export(
            [
                Out("labels", ("a", "b"), datatype="INT64"), Out("boxes", ("c", "d", "a")), Out("scores", ("c", "d")),
            ],
            ("N", 3, 640, 640), extra_inputs={"orig_target_sizes": ("INT64", ("N", 2))},
        ),
        "detection", {"decoder": "rtdetr"}, STRETCH, guessed=YOLO_GUESSES,
        second={"size_tensor": "orig_target_sizes", "size_order": "width_height"},
    ),
    "DETR of Hugging Face's first years": Family(
        Export(
            [
                Out("logits", ("batch_size", "num_queries", 92), ["MatMul"]),
                Out("pred_boxes", ("batch_size", "num_queries", 4), ["Sigmoid"]),
            ],
            HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {
                    "architectures": ["DetrForObjectDetection"], "model_type": "detr", "id2label": id2label(91),
                },
                "preprocessor_config.json": {
                    "do_normalize": True, "do_resize": True, "feature_extractor_type": "DetrFeatureExtractor",
                    "format": "coco_detection", **IMAGENET, "max_size": 1333, "size": 800,
                },
            },
        ),
        "detection", {"decoder": "detr"}, {"rule": "shortest_edge", "shorter_side": 800, "longer_side": 1333}, None,
        OF_IMAGENET, labels="labels.txt",
    ),
    "EfficientNet, Hugging Face": Family(
        Export(
            [Out("logits", ("batch_size", 3), ["Gemm"])], ("batch_size", 3, 224, 224), "pixel_values",
            beside={
                "config.json": {"architectures": ["EfficientNetForImageClassification"], "model_type": "efficientnet"},
                "preprocessor_config.json": {
                    "crop_size": {"height": 289, "width": 289}, "do_center_crop": False, "do_normalize": True,
                    "do_rescale": True, "do_resize": True, "image_mean": [0.485, 0.456, 0.406],
                    "image_processor_type": "EfficientNetImageProcessor", "image_std": [0.5, 0.25, 0.5],
                    "include_top": True, "resample": 0, "rescale_factor": 1 / 255, "rescale_offset": False,
                    "size": {"height": 224, "width": 224},
                },
            },
        ),
        "classification", {"decoder": "logits"}, {**STRETCH, "interpolation": "nearest"}, (224, 224),
        {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.25, 0.0625, 0.25]},
    ),
    "DeiT of Hugging Face's first years": Family(
        Export(
            [Out("logits", ("batch_size", 3), ["Gemm"])], HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {"architectures": ["DeiTForImageClassification"], "model_type": "deit"},
                "preprocessor_config.json": {
                    "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True, **IMAGENET,
                    "feature_extractor_type": "DeiTFeatureExtractor", "resample": 3, "size": 256,
                },
            },
        ),
        "classification", {"decoder": "logits"}, {**CROP, "interpolation": "bicubic"}, (224, 224), OF_IMAGENET,
    ),
    "MobileViT, Hugging Face": Family(
        Export(
            [Out("logits", ("batch_size", 3), ["Gemm"])], HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {"architectures": ["MobileViTForImageClassification"], "model_type": "mobilevit"},
                "preprocessor_config.json": {
                    "crop_size": {"height": 256, "width": 256}, "do_center_crop": True, "do_flip_channel_order": True,
                    "do_rescale": True, "do_resize": True, "image_processor_type": "MobileViTImageProcessor",
                    "resample": 2, "rescale_factor": 1 / 255, "size": {"shortest_edge": 224},
                },
            },
        ),
        "classification", {"decoder": "logits"}, {**CROP, "interpolation": "bilinear"}, (256, 256), color="bgr",
    ),
    "YOLOS, Hugging Face": Family(
        Export(
            [Out("logits", ("b", "q", 92), ["MatMul"]), Out("pred_boxes", ("b", "q", 4), ["Sigmoid"])], HF_DYNAMIC,
            "pixel_values",
            beside={
                "config.json": {
                    "architectures": ["YolosForObjectDetection"], "model_type": "yolos", "id2label": id2label(91),
                },
                "preprocessor_config.json": {
                    **DETR, "image_processor_type": "YolosImageProcessor",
                    "size": {"shortest_edge": 512, "longest_edge": 1333},
                },
            },
        ),
        "detection", {"decoder": "detr"},
        {
            "rule": "shortest_edge", "shorter_side": 512, "longer_side": 1333, "multiple": 16,
            "interpolation": "bilinear",
        },
        None, OF_IMAGENET, labels="labels.txt",
    ),
    "CLIP's vision side, without its projection": Family(
        Export(
            [Out("last_hidden_state", ("batch_size", 50, 768)), Out("pooler_output", ("batch_size", 768))],
            HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {"architectures": ["CLIPVisionModelWithProjection"], "model_type": "clip_vision_model"},
                "preprocessor_config.json": CLIP,
            },
        ),
        "embedding", {"decoder": "vector", "tensor": "pooler_output"},
        {"rule": "crop", "shorter_side": 224, "interpolation": "bicubic"}, (224, 224),
        {
            "scale": 1 / 255, "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
        },
    ),
    "Keras' own export, with inputs that nothing reads": Family(
        Export(
            [Out("Identity:0", ("unk__1099", 1000), ["Softmax"])], ("unk__1098", 224, 224, 3), "keras_tensor_156",
            producer="tf2onnx", head=[("Mul", 1 / 255)],
            unread_inputs={
                "efficientnetb0_1/normalization_1/Sub/y:0": ("FP32", (1, 1, 1, 3)),
                "efficientnetb0_1/normalization_1/Sqrt/x:0": ("FP32", (1, 1, 1, 3)),
            },
        ),
        "classification", {"decoder": "probabilities"}, STRETCH, (224, 224), BYTES, layout="NHWC",
        guessed=INPUT_GUESSES,
    ),
    "a U-Net of Keras, of three classes": Family(
        Export(
            [Out("Identity:0", ("n", 128, 128, 3), ["Softmax", "Transpose"])], ("n", 128, 128, 3), "image",
            producer="tf2onnx", head=[("Mul", 1 / 255)],
        ),
        "segmentation", {"decoder": "logits", "channels": "last"}, STRETCH, (128, 128), BYTES, layout="NHWC",
        guessed=INPUT_GUESSES,
    ),
    "PaddleX, whose config has anchors": Family(
        Export(
            [Out("fetch_name_0", (-1, 4), ["Softmax"])], ("p2o.DynamicDimension.0", 3, 224, 224), "x",
            beside={"inference.yml": PADDLE_X}, producer="PaddlePaddle",
        ),
        "classification", {"decoder": "probabilities"}, {**CROP, "interpolation": "opencv_linear"}, (224, 224),
        OF_IMAGENET, labels="labels.txt",
    ),
    "YOLO-NAS": Family(
        Export(
            [Out("boxes", (1, 8400, 4)), Out("scores", (1, 8400, 80), ["Sigmoid"])], name="input",
        ),
        "detection", {"decoder": "ssd", "background": "none", "box_format": "corners", "box_unit": "pixels"}, LETTERBOX,
        batch=1, guessed=INPUT_GUESSES | {"task", "output"}, open=frozenset({"input.normalize"}),
    ),
    "TensorFlow's DeepLab": Family(
        Export([Out("logits", (1, 65, 65, 21))], (1, 513, 513, 3), "ImageTensor", producer="tf2onnx"),
        "segmentation", {"decoder": "logits", "channels": "last", "upsample": "align_corners"},
        {"rule": "letterbox", "align": "top_left", "color": [128] * 3}, (513, 513),
        {"scale": 1.0, "mean": [127.5] * 3, "std": [127.5] * 3}, layout="NHWC", batch=1, guessed=INPUT_GUESSES,
        open=frozenset({"input.normalize"}),
    ),
    "YOLOv5": Family(
        Export([Out("output0", (1, 25200, 85), ["Concat"])], metadata={"stride": 32, "names": COCO_NAMES}),
        "detection", {"decoder": "yolov5"}, OPENCV, labels="labels.txt", batch=1,
    ),
    "YOLOv5, with its heads": Family(
        Export(
            [Out("output", (1, 25200, 6)), Out("350", (1, 3, 80, 80, 6)), Out("416", (1, 3, 40, 40, 6))],
            metadata={"stride": 32, "names": ["plate"]},
        ),
        "detection", {"decoder": "yolov5", "tensor": "output"}, OPENCV, labels="labels.txt", batch=1,
    ),
    "YOLOv5-seg": Family(
        Export(
            [Out("output0", (1, 25200, 117)), Out("output1", (1, 32, 160, 160))],
            metadata={"stride": 32, "names": COCO_NAMES},
        ),
        "instance_segmentation", {"decoder": "yolov5_seg", "tensor": "output0", "prototypes": "output1"}, OPENCV,
        labels="labels.txt", batch=1,
    ),
    "YOLOv7 --grid": Family(
        Export([Out("output", (1, 25200, 85), ["Concat"])]), "detection", {"decoder": "yolov5"}, LETTERBOX, batch=1,
        guessed=YOLO_GUESSES,
    ),
    "YOLOv7 --grid --end2end --max-wh": Family(
        Export([Out("output", ("n", 7), ["Concat"])]), "detection", {"decoder": "yolov7_end2end"}, LETTERBOX, batch=1,
        guessed=YOLO_GUESSES,
    ),
    "YOLOv6": Family(
        Export([Out("outputs", (1, 8400, 85), ["Concat"])]), "detection", {"decoder": "yolov5"}, LETTERBOX, batch=1,
        guessed=YOLO_GUESSES,
    ),
    "YOLOX": Family(
        Export([Out("output", (1, 8400, 85), ["Concat", "Transpose"])], opset=11), "detection", {"decoder": "yolox"},
        {"rule": "letterbox", "align": "top_left", "interpolation": "opencv_linear"}, normalize=BYTES, color="bgr",
        batch=1, guessed=YOLO_GUESSES,
    ),
    "YOLOX --decode_in_inference": Family(
        Export([Out("output", (1, 3549, 85), ["Concat"])], (1, 3, 416, 416), operators=["Exp"], opset=11), "detection",
        {"decoder": "yolox", "decoded": True},
        {"rule": "letterbox", "align": "top_left", "interpolation": "opencv_linear"}, (416, 416), BYTES, "bgr", batch=1,
        guessed=YOLO_GUESSES,
    ),
    "RT-DETR, Hugging Face": Family(
        Export(
            [Out("logits", ("batch", 300, 80), ["MatMul"]), Out("pred_boxes", ("batch", 300, 4), ["Sigmoid"])],
            HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {
                    "architectures": ["RTDetrForObjectDetection"], "model_type": "rt_detr", "id2label": id2label(80),
                },
                "preprocessor_config.json": RTDETR,
            },
        ),
        "detection", {"decoder": "detr", "activation": "sigmoid"}, {**STRETCH, "interpolation": "bilinear"},
        labels="labels.txt",
    ),
    "DETR, Hugging Face": Family(
        Export(
            [
                Out("logits", ("batch_size", "num_queries", 92), ["MatMul"]),
                Out("pred_boxes", ("batch_size", "num_queries", 4), ["Sigmoid"]),
            ],
            HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {
                    "architectures": ["DetrForObjectDetection"], "model_type": "detr", "id2label": id2label(91),
                },
                "preprocessor_config.json": DETR,
            },
        ),
        "detection", {"decoder": "detr"},
        {"rule": "shortest_edge", "shorter_side": 800, "longer_side": 1333, "interpolation": "bilinear"}, None,
        OF_IMAGENET, labels="labels.txt",
    ),
    "RT-DETR and D-FINE, their own export": Family(
        Export(
            [Out("labels", ("N", 300), datatype="INT64"), Out("boxes", ("N", 300, 4)), Out("scores", ("N", 300))],
            ("N", 3, 640, 640), extra_inputs={"orig_target_sizes": ("INT64", ("N", 2))},
        ),
        "detection", {"decoder": "rtdetr"}, STRETCH, guessed=YOLO_GUESSES,
        second={"size_tensor": "orig_target_sizes", "size_order": "width_height"},
    ),
    "RF-DETR": Family(
        Export(
            [Out("dets", (1, 300, 4), ["Sigmoid"]), Out("labels", (1, 300, 91), ["Relu"])], (1, 3, 560, 560), "input",
        ),
        "detection", {"decoder": "detr", "activation": "sigmoid", "logits": "labels", "boxes": "dets"},
        STRETCH, (560, 560), OF_IMAGENET, batch=1,
        guessed=INPUT_GUESSES | {"task", "output"}, open=frozenset({"input.normalize"}),
    ),
    "YOLOv3 of ONNX's model zoo": Family(
        Export(
            [
                Out("yolonms_layer_1/ExpandDims_1:0", (1, "n", 4)), Out("yolonms_layer_1/ExpandDims_3:0", (1, 80, "n")),
                Out("yolonms_layer_1/concat_2:0", ("m", 3), datatype="INT32"),
            ],
            ("unk_1", 3, "unk_2", "unk_3"), "input_1", extra_inputs={"image_shape": ("FP32", ("unk_4", 2))},
        ),
        "detection",
        {
            "decoder": "onnx_nms", "boxes": "yolonms_layer_1/ExpandDims_1:0",
            "scores": "yolonms_layer_1/ExpandDims_3:0",
            "selected_indices": "yolonms_layer_1/concat_2:0",
        },
        LETTERBOX, guessed=YOLO_GUESSES | {"input.height", "input.width"},
        second={"size_tensor": "image_shape", "size_order": "height_width"},
    ),
    "torchvision Faster R-CNN": Family(
        Export(
            [Out("boxes", ("m", 4)), Out("labels", ("m",), datatype="INT64"), Out("scores", ("m",))],
            (1, 3, 800, 800), "image", beside={"labels.json": ["__background__", "person", "car"]},
        ),
        "detection", {"decoder": "torchvision", "first_class": 0},
        {"rule": "letterbox", "align": "top_left", "color": [124, 116, 104]}, (800, 800), labels="labels.txt", batch=1,
        guessed=INPUT_GUESSES,
    ),
    "TensorFlow's detection API": Family(
        Export(
            [
                Out("detection_boxes", (1, 100, 4)), Out("detection_classes", (1, 100)),
                Out("detection_scores", (1, 100)), Out("num_detections", (1,)),
            ],
            (1, 320, 320, 3), "input_tensor", "UINT8", producer="tf2onnx",
            beside={"label_map.pbtxt": "item { id: 1 name: 'cat' }\nitem { id: 3 display_name: 'dog' }"},
        ),
        "detection", {"decoder": "tensorflow", "first_class": 0}, STRETCH, (320, 320), BYTES, layout="NHWC",
        datatype="UINT8", labels="labels.json", batch=1, guessed=INPUT_GUESSES,
    ),
    "SSD, UltraFace": Family(
        Export(
            [Out("scores", (1, 4420, 2), ["Softmax"]), Out("boxes", (1, 4420, 4))], (1, 3, 240, 320), "input",
        ),
        "detection", {"decoder": "ssd", "box_format": "corners"}, STRETCH, (240, 320),
        {"scale": 1.0, "mean": [127.5] * 3, "std": [127.5] * 3}, batch=1, guessed=INPUT_GUESSES | {"task", "output"},
        open=frozenset({"input.normalize"}),
    ),
    "pytorch-YOLOv4": Family(
        Export([Out("boxes", (1, 10647, 1, 4)), Out("confs", (1, 10647, 80), ["Relu"])], (1, 3, 416, 416), "input"),
        "detection", {"decoder": "ssd", "scores": "confs", "box_format": "corners", "background": "none"}, STRETCH,
        (416, 416), {"scale": 1.0, "mean": [127.5] * 3, "std": [127.5] * 3}, batch=1, guessed=INPUT_GUESSES,
        open=frozenset({"input.normalize"}),
    ),
    "ONNX NonMaxSuppression": Family(
        Export(
            [
                Out("boxes", (1, 10647, 4)), Out("scores", (1, 80, 10647)),
                Out("selected_indices", ("m", 3), datatype="INT64"),
            ],
            (1, 3, 416, 416), "input",
        ),
        "detection", {"decoder": "onnx_nms"}, LETTERBOX, (416, 416), batch=1, guessed=YOLO_GUESSES,
    ),
    "timm": Family(
        Export([Out("output", ("batch", 1000), ["Gemm"])], FREE_224, "input", beside={"config.json": TIMM}),
        "classification", {"decoder": "logits"}, {"rule": "crop", "shorter_side": 235, "interpolation": "bicubic"},
        (224, 224), OF_IMAGENET, license="Apache-2.0",
    ),
    "ViT, Hugging Face": Family(
        Export(
            [Out("logits", ("batch_size", 3), ["Gemm"])], HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {
                    "architectures": ["ViTForImageClassification"], "model_type": "vit",
                    "id2label": {"0": "cat", "1": "dog", "2": "fish"},
                },
                "preprocessor_config.json": VIT,
                "README.md": "---\nlicense: apache-2.0\npipeline_tag: image-classification\n---\n# A model\n",
            },
        ),
        "classification", {"decoder": "logits"}, {**STRETCH, "interpolation": "bilinear"}, (224, 224), OF_HALF,
        labels="labels.txt", license="Apache-2.0",
    ),
    "Hugging Face, several labels at once": Family(
        Export(
            [Out("logits", ("batch_size", 3), ["Gemm"])], HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {
                    "architectures": ["ViTForImageClassification"], "problem_type": "multi_label_classification",
                    "model_type": "vit", "id2label": {"0": "cat", "1": "dog", "2": "fish"},
                },
                "preprocessor_config.json": VIT,
            },
        ),
        "classification", {"decoder": "sigmoid"}, {**STRETCH, "interpolation": "bilinear"}, (224, 224), OF_HALF,
        labels="labels.txt",
    ),
    "SegFormer, Hugging Face": Family(
        Export(
            [Out("logits", ("batch_size", 3, "height", "width"), ["Relu"])], HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {
                    "architectures": ["SegformerForSemanticSegmentation"], "model_type": "segformer",
                    "id2label": {"0": "wall", "1": "sky", "2": "tree"},
                },
                "preprocessor_config.json": {
                    "do_normalize": True, "do_reduce_labels": True, "do_resize": True, **IMAGENET, "resample": 2,
                    "feature_extractor_type": "SegformerFeatureExtractor", "size": {"height": 512, "width": 512},
                },
            },
        ),
        "segmentation", {"decoder": "logits"}, {**STRETCH, "interpolation": "bilinear"}, (512, 512), OF_IMAGENET,
        labels="labels.txt",
    ),
    "CLIP's vision side, Optimum": Family(
        Export(
            [Out("image_embeds", ("batch_size", 512), ["MatMul"]), Out("last_hidden_state", ("batch_size", 50, 768))],
            HF_DYNAMIC, "pixel_values",
            beside={
                "config.json": {"architectures": ["CLIPVisionModelWithProjection"], "model_type": "clip_vision_model"},
                "preprocessor_config.json": CLIP,
            },
        ),
        "embedding", {"decoder": "vector", "tensor": "image_embeds"},
        {"rule": "crop", "shorter_side": 224, "interpolation": "bicubic"}, (224, 224),
        {
            "scale": 1 / 255, "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
        },
    ),
    "PaddleClas": Family(
        Export(
            [Out("fetch_name_0", (-1, 4), ["Softmax"])], ("p2o.DynamicDimension.0", 3, 224, 224), "x",
            beside={"inference.yml": PADDLE_CLAS}, producer="PaddlePaddle",
        ),
        "classification", {"decoder": "probabilities"}, {**CROP, "interpolation": "opencv_linear"}, (224, 224),
        OF_IMAGENET, labels="labels.txt",
    ),
    "PaddleDetection without its NMS": Family(
        Export(
            [Out("tmp_16", (1, 3598, 4)), Out("concat_4.tmp_0", (1, 3598, 3), ["Sigmoid"])], (1, 3, 416, 416), "image",
            beside={"infer_cfg.yml": PADDLE_DET}, producer="PaddlePaddle",
        ),
        "detection",
        {
            "decoder": "ssd", "boxes": "tmp_16", "scores": "concat_4.tmp_0", "box_format": "corners",
            "background": "none", "box_unit": "pixels", "confidence_threshold": 0.5,
        },
        {**STRETCH, "interpolation": "opencv_cubic"}, (416, 416), OF_IMAGENET, labels="labels.txt", batch=1,
        guessed=frozenset({"output"}),
    ),
    "PaddleSeg": Family(
        Export(
            [Out("argmax_0.tmp_0", (1, 512, 1024), ["ArgMax"], "INT64")], (1, 3, 512, 1024), "x",
            beside={"deploy.yaml": PADDLE_SEG}, producer="PaddlePaddle",
        ),
        "segmentation", {"decoder": "class_map"}, {**STRETCH, "interpolation": "opencv_linear"}, (512, 1024), OF_HALF,
        batch=1,
    ),
    "MMDeploy": Family(
        Export(
            [Out("output", ("batch", 3), ["Softmax"])], FREE_224, "input",
            beside={"pipeline.json": PIPELINE, "detail.json": {"classes": ["cat", "dog", "fish"]}},
        ),
        "classification", {"decoder": "probabilities"}, {**CROP, "interpolation": "opencv_linear"}, (224, 224),
        {"scale": 1.0, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}, labels="labels.txt",
    ),
    "torchvision classifier": Family(
        Export([Out("output", ("batch_size", 1000), ["Gemm"])], FREE_224, "input"), "classification",
        {"decoder": "logits"}, CROP, (224, 224), OF_IMAGENET, guessed=INPUT_GUESSES,
        open=frozenset({"input.normalize"}),
    ),
    "torchvision DeepLabV3": Family(
        Export(
            [Out("out", ("batch", 21, 520, 520), ["Relu"]), Out("aux", ("batch", 21, 520, 520), ["Relu"])],
            ("batch", 3, 520, 520), "input",
        ),
        "segmentation", {"decoder": "logits", "tensor": "out"}, STRETCH, (520, 520), OF_IMAGENET, guessed=INPUT_GUESSES,
        open=frozenset({"input.normalize"}),
    ),
    "Keras, tf2onnx": Family(
        Export(
            [Out("predictions", ("unk__609", 3), ["MatMul", "Softmax"])], ("unk__608", 224, 224, 3), "input_1",
            producer="tf2onnx", beside={"labels.txt": LABELS_3}, head=[("Transpose", [0, 3, 1, 2])],
        ),
        "classification", {"decoder": "probabilities"}, STRETCH, (224, 224),
        {"scale": 1.0, "mean": [127.5] * 3, "std": [127.5] * 3}, layout="NHWC", labels="labels.txt",
        guessed=INPUT_GUESSES, open=frozenset({"input.normalize"}),
    ),
    "Keras, which divides by itself": Family(
        Export(
            [Out("dense", ("unk__609", 3), ["MatMul", "Softmax"])], ("unk__608", 180, 180, 3), "input_1",
            producer="tf2onnx", beside={"labels.txt": LABELS_3},
            head=[("Mul", 1 / 255), ("Sub", [0.5, 0.5, 0.5]), ("Transpose", [0, 3, 1, 2])],
        ),
        "classification", {"decoder": "probabilities"}, STRETCH, (180, 180), BYTES, layout="NHWC", labels="labels.txt",
        guessed=INPUT_GUESSES,
    ),
    "U2-Net": Family(
        Export([Out(str(1959 + k), (1, 1, 320, 320), ["Sigmoid"]) for k in range(7)], (1, 3, 320, 320), "input.1"),
        "segmentation", {"decoder": "masks", "tensor": "1959", "activation": "none"},
        {"rule": "stretch", "interpolation": "lanczos"}, (320, 320), {**OF_IMAGENET, "scale": "max"}, batch=1,
        guessed=YOLO_GUESSES,
    ),
    "Ultralytics YOLOv8-pose, raw": Family(
        Export(
            [Out("output0", (1, 56, 8400), ["Concat"])],
            metadata=ultralytics("pose", {0: "person"}, kpt_shape=[17, 3], description=""),
        ),
        "raw", {"decoder": "tensors"}, OPENCV, batch=1, license="AGPL-3.0", answers=Answers(task="raw"),
    ),
    "Custom Vision": Family(
        Export(
            [Out("model_outputs0", (1, 13, 13, 40))], (1, 3, 416, 416), "data",
            metadata={"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255"},
        ),
        "raw", {"decoder": "tensors"}, STRETCH, (416, 416), BYTES, "bgr", batch=1,
        guessed=frozenset({"input.resize"}), answers=Answers(task="raw"),
    ),
}  # fmt: skip
