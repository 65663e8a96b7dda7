"""What each reader makes of the configs that its exporters write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from inspection.evidence import Evidence
from inspection.graph import read_graph
from inspection.readers import beside, hugging_face, mmdeploy, onnx_metadata, paddle, timm
from tests.unit.inspection.exports import HALF, IMAGENET, Export, Out
from tests.unit.inspection.families import CLIP, TIMM, VIT

LOGITS = [Out("logits", ("n", 3), ["Gemm"])]


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
    return Export(LOGITS).write(folder)


def values(found: Evidence) -> dict[str, Any]:
    return {finding.key: finding.value for finding in found.findings}


def processed(folder: Path, **said: Any) -> tuple[dict[str, Any], Evidence]:
    path = write(folder, preprocessor_config_json=said)
    found = hugging_face.read(read_graph(path), folder)
    return values(found), found


@pytest.mark.parametrize(
    ("said", "size", "resize"),
    [
        ({"size": 224, "resample": 2}, (224, 224), {"rule": "stretch", "interpolation": "bilinear"}),
        ({"size": [384, 512]}, (384, 512), {"rule": "stretch"}),
        ({"size": {"height": 30, "width": 40}, "resample": 0}, (30, 40), {"rule": "stretch",
         "interpolation": "nearest"}),
        (
            {"size": 256, "crop_size": 224, "do_center_crop": True, "resample": 3},
            (224, 224),
            {"rule": "crop", "shorter_side": 256, "interpolation": "bicubic"},
        ),
        (
            {"size": 800, "feature_extractor_type": "ConditionalDetrFeatureExtractor"},
            None,
            {"rule": "shortest_edge", "shorter_side": 800, "longer_side": 1333},
        ),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True},
         (224, 224), {"rule": "crop", "shorter_side": 256}),
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "image_processor_type": "ConvNextImageProcessor"},
            (224, 224),
            {"rule": "crop", "shorter_side": 256},
        ),
        (
            {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "image_processor_type": "ConvNextImageProcessor"},
            (384, 384),
            {"rule": "stretch"},
        ),
        (
            {"size": 224, "feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875},
            (224, 224),
            {"rule": "crop", "shorter_side": 256},
        ),
        (
            {"size": {"shortest_edge": 512, "longest_edge": 1333}, "size_divisor": 32},
            None,
            {"rule": "shortest_edge", "shorter_side": 512, "longer_side": 1333, "multiple": 32},
        ),
        ({"size": {"shortest_edge": 256}}, (256, 256), {"rule": "stretch"}),
        ({"do_resize": False, "size": 224}, None, None),
        ({"size": "large"}, None, None),
        ({"size": {"height": -1, "width": 2}}, None, None),
    ],
)  # fmt: skip
def test_hugging_faces_sizes(
    tmp_path: Path, said: dict[str, Any], size: tuple[int, int] | None, resize: dict[str, Any] | None
) -> None:
    found, _ = processed(tmp_path, **said)
    assert found.get("input.resize") == resize
    assert (found.get("input.height"), found.get("input.width")) == (size or (None, None))


def test_a_crop_from_a_square_is_close_and_said_to_be_no_more(tmp_path: Path) -> None:
    size = {"height": 256, "width": 256}
    found, evidence = processed(tmp_path, size=size, crop_size={"height": 224, "width": 224}, do_center_crop=True)
    assert found["input.resize"] == {"rule": "crop", "shorter_side": 256}
    assert "which is close, and not the same" in evidence.notes[0]


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (
            {"size": 256, "crop_size": 224, "do_center_crop": True, "feature_extractor_type": "DeiTFeatureExtractor"},
            "stretches pictures to 256x256 and cuts 224x224",
        ),
        (
            {"size": {"shortest_edge": 224}, "crop_size": 256, "do_center_crop": True},
            "scales the shorter side to 224, cuts 256x256 and fills up with zeros; the contract scales it to 256",
        ),
        (
            {"size": 512, "max_size": 864, "feature_extractor_type": "YolosFeatureExtractor"},
            "YOLOS rounds each side down to a multiple of 16",
        ),
    ],
)
def test_what_a_contract_cannot_say_is_told(tmp_path: Path, said: dict[str, Any], note: str) -> None:
    _, evidence = processed(tmp_path, **said)
    assert note in evidence.notes[0]


@pytest.mark.parametrize(
    ("said", "normalize"),
    [
        ({"do_normalize": True, **IMAGENET}, {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}),
        ({"do_normalize": False, **IMAGENET}, {}),
        ({"do_rescale": False, "do_normalize": False}, {"scale": 1.0}),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False},
         {"scale": 1 / 127.5, "mean": (1.0,), "std": (1.0,)}),
        ({"image_processor_type": "EfficientNetImageProcessor", **HALF}, {"mean": (0.5,) * 3, "std": (0.25,) * 3}),
        ({"image_processor_type": "EfficientNetImageProcessor", "include_top": False, **HALF},
         {"mean": (0.5,) * 3, "std": (0.5,) * 3}),
        ({"rescale_factor": 0.00392156862745098, **HALF}, {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}),
        ({"image_mean": [0, 0, 0], "image_std": [0, 1, 1]}, {}),
    ],
)  # fmt: skip
def test_hugging_faces_numbers(tmp_path: Path, said: dict[str, Any], normalize: dict[str, Any]) -> None:
    found, _ = processed(tmp_path, size=224, **said)
    assert found["input.normalize"] == normalize


def test_hugging_face_may_turn_the_channels(tmp_path: Path) -> None:
    assert processed(tmp_path, do_flip_channel_order=True, size=256)[0]["input.color"] == "bgr"


def test_the_configs_of_a_repository_stand_above_its_folder_onnx(tmp_path: Path) -> None:
    folder = tmp_path / "onnx"
    path = Export(LOGITS).write(folder)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", "architectures": ["ViTModel"]}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(VIT))
    found = hugging_face.read(read_graph(path), folder)
    assert values(found)["task"] == "embedding"
    assert values(found)["input.height"] == 224


def test_a_processor_may_stand_within_another_config(tmp_path: Path) -> None:
    path = write(tmp_path, processor_config_json={"image_processor": CLIP, "processor_class": "CLIPProcessor"})
    assert values(hugging_face.read(read_graph(path), tmp_path))["input.resize"]["rule"] == "crop"


@pytest.mark.parametrize(
    ("architecture", "key", "value"),
    [
        ("ResNetForImageClassification", "task", "classification"),
        ("UperNetForSemanticSegmentation", "task", "segmentation"),
        ("YolosForObjectDetection", "output.activation", "softmax"),
        ("DeformableDetrForObjectDetection", "output.activation", "sigmoid"),
        ("ConditionalDetrForObjectDetection", "output.activation", "sigmoid"),
        ("TableTransformerForObjectDetection", "output.activation", "softmax"),
        ("Dinov2Model", "task", "embedding"),
        ("VitPoseForPoseEstimation", "unserved", "keypoints"),
        ("Florence2ForConditionalGeneration", "unserved", "text"),
    ],
)
def test_hugging_faces_architectures(tmp_path: Path, architecture: str, key: str, value: str) -> None:
    path = write(tmp_path, config_json={"architectures": [architecture], "model_type": "x"})
    assert values(hugging_face.read(read_graph(path), tmp_path))[key] == value


@pytest.mark.parametrize(
    ("changes", "resize"),
    [
        ({}, {"rule": "crop", "shorter_side": 235, "interpolation": "bicubic"}),
        ({"crop_mode": "squash", "crop_pct": 1.0}, {"rule": "stretch", "interpolation": "bicubic"}),
        ({"crop_mode": "border"}, {"rule": "letterbox", "interpolation": "bicubic"}),
        ({"crop_pct": 0.875, "interpolation": "random"}, {"rule": "crop", "shorter_side": 256}),
        ({"crop_pct": 7}, {"rule": "crop", "shorter_side": 224, "interpolation": "bicubic"}),
    ],
)
def test_timms_evaluation(tmp_path: Path, changes: dict[str, Any], resize: dict[str, Any]) -> None:
    config = {**TIMM, "pretrained_cfg": {**TIMM["pretrained_cfg"], **changes}}
    found = timm.read(read_graph(write(tmp_path, config_json=config)), tmp_path)
    assert values(found)["input.resize"] == resize
    assert found.classes == 1000


def test_timms_older_config_is_flat(tmp_path: Path) -> None:
    inner = dict(TIMM["pretrained_cfg"])
    config = {"architecture": "resnet18", **inner, "num_classes": 2, "labels": ["cat", "dog"]}
    found = timm.read(read_graph(write(tmp_path, config_json=config)), tmp_path)
    assert found.labels[0].labels == {0: "cat", 1: "dog"}
    assert values(found)["task"] == "classification"


def test_timms_labels_get_their_descriptions(tmp_path: Path) -> None:
    config = {**TIMM, "label_names": ["n1", "n2"], "label_descriptions": {"n1": "tench", "n2": "goldfish"}}
    found = timm.read(read_graph(write(tmp_path, config_json=config)), tmp_path)
    assert found.labels[0].labels == {0: "tench", 1: "goldfish"}


def test_timm_without_classes_is_an_embedding(tmp_path: Path) -> None:
    found = timm.read(read_graph(write(tmp_path, config_json={**TIMM, "num_classes": 0})), tmp_path)
    assert values(found)["task"] == "embedding"


def steps(*transforms: dict[str, Any]) -> str:
    return yaml.safe_dump({"PreProcess": {"transform_ops": list(transforms)}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (steps({"ResizeImage": {"size": [640, 480], "interpolation": "bicubic", "backend": "pil"}}),
         {"input.height": 480, "input.width": 640, "input.resize": {"rule": "stretch", "interpolation": "bicubic"}}),
        (steps({"ResizeImage": {"resize_short": 224}}),
         {"input.resize": {"rule": "crop", "shorter_side": 224, "interpolation": "opencv_linear"}}),
        (steps({"DecodeImage": {"img_mode": "BGR"}}), {"input.color": "bgr"}),
        (steps({"NormalizeImage": {"scale": "1./255.", "mean": [0.5], "std": [0.5]}}),
         {"input.normalize": {"mean": (0.5,), "std": (0.5,)}}),
        (yaml.safe_dump({"Preprocess": [{"type": "NormalizeImage", "is_scale": True, "norm_type": "none"},
                                        {"type": "Resize", "target_size": [320, 416], "keep_ratio": True}]}),
         {"input.normalize": {}, "input.height": 320, "task": "detection",
          "input.resize": {"rule": "letterbox", "align": "top_left", "color": (0, 0, 0),
                           "interpolation": "opencv_linear"}}),
        (yaml.safe_dump({"Preprocess": [{"type": "NormalizeImage", "is_scale": False, "mean": [1, 2, 3],
                                         "std": [4, 5, 6]}]}),
         {"input.normalize": {"scale": 1.0, "mean": (1, 2, 3), "std": (4, 5, 6)}}),
        (yaml.safe_dump({"PreProcess": {"transform_ops": []}, "PostProcess": {"name": "CTCLabelDecode"}}),
         {"unserved": "text (PaddleOCR's recogniser)"}),
    ],
)  # fmt: skip
def test_paddles_steps(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    found = values(paddle.read(read_graph(write(tmp_path, inference_yml=text)), tmp_path))
    assert {key: found[key] for key in expected} == expected


def test_mmdeploys_letterbox(tmp_path: Path) -> None:
    transforms = [
        {"type": "Resize", "keep_ratio": True, "size": [640, 640]},
        {"type": "Pad", "size": [640, 640], "pad_val": {"img": [114, 114, 114]}},
        {"type": "Normalize", "mean": [0, 0, 0], "std": [255, 255, 255], "to_rgb": False},
    ]
    pipeline = {"pipeline": {"tasks": [{"module": "Transform", "transforms": transforms}, {"module": "mmdet"}]}}
    found = values(mmdeploy.read(read_graph(write(tmp_path, pipeline_json=pipeline)), tmp_path))
    assert found["task"] == "detection"
    assert found["input.color"] == "bgr"
    assert found["input.resize"] == {
        "rule": "letterbox", "align": "top_left", "color": (114, 114, 114), "interpolation": "opencv_linear",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"imgsz": "640"}, {"input.height": 640, "input.width": 640}),
        ({"imgsz": "[480, 640]"}, {"input.height": 480, "input.width": 640}),
        ({"Image.NominalPixelRange": "Normalized_1_1"},
         {"input.normalize": {"scale": 1.0, "mean": (127.5,) * 3, "std": (127.5,) * 3}}),
        ({"mean": "[0.485, 0.456, 0.406]", "std": "[0.229, 0.224, 0.225]"},
         {"input.normalize": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}}),
        ({"mean": "[123.7, 116.3, 103.5]", "std": "[58.4, 57.1, 57.4]"},
         {"input.normalize": {"scale": 1.0, "mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}}),
        ({"task": "Image-Classification", "license": "mit"}, {"task": "classification", "model.license": "MIT"}),
    ],
)  # fmt: skip
def test_metadata_of_the_file(tmp_path: Path, metadata: dict[str, str], expected: dict[str, Any]) -> None:
    path = Export(LOGITS, metadata=metadata).write(tmp_path)
    found = values(onnx_metadata.read(read_graph(path), tmp_path))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("key", ["names", "labels", "classes", "class_names", "id2label", "categories"])
def test_labels_are_found_under_many_keys(tmp_path: Path, key: str) -> None:
    path = Export(LOGITS, metadata={key: "cat,dog,fish"}).write(tmp_path)
    assert onnx_metadata.read(read_graph(path), tmp_path).labels[0].labels == {0: "cat", 1: "dog", 2: "fish"}


@pytest.mark.parametrize(
    ("name", "text", "licence"),
    [
        (
            "LICENSE",
            "                                 Apache License\n                           Version 2.0",
            "Apache-2.0",
        ),
        ("LICENSE", "GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL-3.0"),
        ("README.md", "---\nlicense: other\nlicense_name: my-own\n---\n", "my-own"),
        ("README.md", "---\nlicense: 'cc-by-nc-4.0'\n---\n", "CC-BY-NC-4.0"),
        ("metadata.yaml", "license: AGPL-3.0 License (https://ultralytics.com/license)\n", "AGPL-3.0"),
    ],
)
def test_licences_stand_in_many_files(tmp_path: Path, name: str, text: str, licence: str) -> None:
    path = Export(LOGITS).write(tmp_path)
    (tmp_path / name).write_text(text)
    assert values(beside.read(read_graph(path), tmp_path))["model.license"] == licence


def test_the_models_own_labels_come_first(tmp_path: Path) -> None:
    path = Export(LOGITS).write(tmp_path, "pets.onnx")
    (tmp_path / "coco.names").write_text("a\nb\nc\n")
    (tmp_path / "pets.txt").write_text("cat\ndog\nfish\n")
    assert [each.file for each in beside.read(read_graph(path), tmp_path).labels] == ["pets.txt", "coco.names"]
