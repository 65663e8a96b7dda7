from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from inspection import NotAModel, NotServable, inspect
from tests.unit.inspection.exports import COCO_NAMES, Export, Out, ultralytics
from tests.unit.inspection.families import FAMILIES


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.onnx", zipped(), "is a zip, as torch.save and Keras 3 write: export the network with torch.onnx"),
        ("model.pt", pickle.dumps([1], 2), "is a pickle, as old versions of torch.save write"),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(20), "is an HDF5 file, as Keras writes: convert it with tf2onnx"),
        ("model.tflite", b"\x1c\0\0\0TFL3" + bytes(20), "is a TensorFlow Lite model: convert it with tf2onnx"),
        ("model.ort", b"\x1c\0\0\0ORTM" + bytes(20), "is in ONNX Runtime's own .ort format"),
        ("model.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        ("model.onnx", b"<!DOCTYPE html><html><head>", "is a web page"),
        ("model.onnx", b'{"error": "not found"}', "is JSON"),
        ("model.onnx", b"GGUF\x03\0\0\0", "is a GGUF file, a language model's"),
        ("model.safetensors", b"\x40\0\0\0\0\0\0\0" + b'{"a":1}', "is weights without a network"),
        ("frozen.pb", b"\x0a\x01\x02", "is a TensorFlow graph"),
        ("model.onnx", b"", "is empty"),
        ("model.onnx", b"just some text, and no model at all", "is not an ONNX model, or is cut off"),
        ("model.onnx", bytes(4000), "is not an ONNX model, or is cut off"),
        ("model.onnx", b"\x08\x08", "is not an ONNX model: it holds no graph"),
    ],
)
def test_a_file_that_is_no_model_is_told_by_what_it_is(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotAModel) as refused:
        inspect(tmp_path / name)
    assert str(refused.value).startswith(f"{tmp_path / name} {sentence}")


def test_a_file_that_is_not_there_and_folders_without_a_model_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotAModel, match="does not exist"):
        inspect(tmp_path / "none.onnx")
    with pytest.raises(NotAModel, match=r"holds no \.onnx file"):
        inspect(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(NotAModel, match="is a TensorFlow SavedModel: convert it with tf2onnx"):
        inspect(tmp_path)


def test_a_folder_stands_for_its_only_model(tmp_path: Path) -> None:
    path = FAMILIES["timm"].export.write(tmp_path)
    assert inspect(tmp_path).graph.path == path
    FAMILIES["timm"].export.write(tmp_path, "second.onnx")
    with pytest.raises(NotAModel, match=r"several models: give one of exported\.onnx, second\.onnx"):
        inspect(tmp_path)


def test_a_model_in_the_folder_of_optimum_is_named(tmp_path: Path) -> None:
    FAMILIES["timm"].export.write(tmp_path / "onnx", "model.onnx")
    with pytest.raises(NotAModel, match=r"in a folder of its own: give one of onnx/model\.onnx"):
        inspect(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_told(tmp_path: Path, share: float) -> None:
    path = FAMILIES["Ultralytics YOLOv8"].export.write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(NotAModel, match="is not an ONNX model"):
        inspect(path)


LOGITS = Out("output", ("batch", 10))
UNSERVED: dict[str, tuple[Export, str]] = {
    "two pictures": (
        Export([LOGITS], ("n", 3, 8, 8), "left", extra_inputs={"right": ("FP32", ("n", 3, 8, 8))}),
        "the graph takes several pictures, 'left' and 'right'",
    ),
    "a mask": (
        Export([LOGITS], ("n", 3, 8, 8), "pixel_values", extra_inputs={"pixel_mask": ("INT64", ("n", 8, 8))}),
        "the graph takes 'pixel_mask' beside the picture 'pixel_values', which nobody would fill in: export it without",
    ),
    "Paddle's size and scale": (
        Export(
            [LOGITS],
            ("n", 3, 8, 8),
            "image",
            extra_inputs={"im_shape": ("FP32", ("n", 2)), "scale_factor": ("FP32", ("n", 2))},
        ),
        "the graph takes 'im_shape', 'scale_factor' beside the picture 'image', which nobody would fill in: export it",
    ),
    "text and a picture": (
        Export([LOGITS], ("n", 3, 8, 8), "pixel_values", extra_inputs={"input_ids": ("INT64", ("n", 77))}),
        "the graph takes 'input_ids' beside the picture 'pixel_values', which nobody would fill in: export its picture",
    ),
    "grey": (
        Export([LOGITS], ("n", 1, 28, 28), "x"),
        "the graph's input 'x' FP32 [n, 1, 28, 28] has 1 channel: pictures of 3",
    ),
    "whole numbers": (
        Export([LOGITS], ("n", 3, 8, 8), "x", "INT64"),
        "the graph's input 'x' INT64 [n, 3, 8, 8] is of a datatype that no picture is sent in",
    ),
    "pose": (
        Export([Out("output0", (1, 56, 8400))], metadata=ultralytics("pose", {0: "person"}, kpt_shape=[17, 3])),
        "the model gives keypoints (Ultralytics' task pose) (`task: pose` in the file's metadata)",
    ),
    "raw heads": (
        Export([Out(name, (1, 3, size, size, 85)) for name, size in (("a", 80), ("b", 40), ("c", 20))]),
        "no decoder reads the outputs: 'a' FP32 [1, 3, 80, 80, 85]",
    ),
    "universal segmentation": (
        Export(
            [Out("class_queries_logits", (1, 100, 134)), Out("masks_queries_logits", (1, 100, 96, 96))],
            beside={"config.json": {"architectures": ["Mask2FormerForUniversalSegmentation"], "model_type": "m"}},
        ),
        "the model gives queries with masks",
    ),
    "boxes from anchors": (
        Export([Out("loc", (1, 16800, 4)), Out("conf", (1, 16800, 2), ["Softmax"]), Out("landms", (1, 16800, 10))]),
        "no decoder reads the outputs: 'loc' FP32 [1, 16800, 4]; 'conf' FP32 [1, 16800, 2]; 'landms' FP32",
    ),
    "depths": (
        Export([Out("predicted_depth", (1, 518, 686))], (1, 3, 518, 686), "pixel_values"),
        "no decoder reads the outputs: 'predicted_depth' FP32 [1, 518, 686]",
    ),
    "TensorRT's operator": (
        Export(
            [
                Out("num_dets", (1, 1), datatype="INT32"),
                Out("det_boxes", (1, 100, 4)),
                Out("det_scores", (1, 100)),
                Out("det_classes", (1, 100), datatype="INT32"),
            ],
            operators=["EfficientNMS_TRT"],
        ),
        "the graph has TensorRT's operator EfficientNMS_TRT, which ONNX Runtime cannot load: export without it (YOLOv7",
    ),
    "nothing found, for good": (
        Export([Out("stack_8", (0, 4)), Out("index_271", (0,)), Out("index_272", (0,), datatype="INT64")]),
        "by the file, the outputs 'stack_8', 'index_271', 'index_272' have no elements: it was exported with a picture",
    ),
    "EfficientDet's rows": (
        Export([Out("detections:0", (1, 100, 7))], (1, 512, 512, 3), "image_arrays:0", "UINT8"),
        "no decoder reads the outputs: 'detections:0' FP32 [1, 100, 7]. They look like EfficientDet's rows",
    ),
    "a task that the shapes deny": (
        Export([Out("output0", (1, 5))], metadata=ultralytics("detect", COCO_NAMES)),
        "no decoder reads the outputs as detection (`task: detect` in the file's metadata): 'output0' FP32 [1, 5]",
    ),
}


@pytest.mark.parametrize(
    ("outputs", "advice"),
    [
        ([Out("loc", (1, 99, 4)), Out("conf", (1, 99, 2))], "Their boxes are measured from anchors"),
        ([Out("p3", (1, 255, 80, 80)), Out("p4", (1, 255, 40, 40)), Out("p5", (1, 255, 20, 20))], "raw heads"),
        (
            [Out("dets", (1, 100, 5)), Out("labels", (1, 100), datatype="INT64"), Out("masks", (1, 100, 28, 28))],
            "They are MMDeploy's `dets` and `labels` with a mask for each box",
        ),
    ],
)
def test_outputs_that_no_decoder_reads_come_with_advice(tmp_path: Path, outputs: list[Out], advice: str) -> None:
    with pytest.raises(NotServable, match=advice):
        inspect(Export(outputs, (1, 3, 640, 640)).write(tmp_path))


@pytest.mark.parametrize("name", UNSERVED)
def test_a_model_that_cannot_be_served_is_refused_with_what_would_help(tmp_path: Path, name: str) -> None:
    export, sentence = UNSERVED[name]
    with pytest.raises(NotServable) as refused:
        inspect(export.write(tmp_path))
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "sentence"),
    [
        ("input_ids", "INT64", ("batch", "sequence"), "the graph takes text ("),
        ("input_features", "FP32", ("batch", 80, 3000), "the graph takes sound ("),
        ("waveform", "FP32", ("batch", "time"), "the graph takes sound ("),
        (
            "image",
            "FP32",
            (3, "height", "width"),
            "the graph's input 'image' FP32 [3, height, width] is one picture with",
        ),
        ("x", "FP32", ("n", 13), "no input of the graph is a picture"),
    ],
)
def test_a_model_of_something_else_is_told_by_its_inputs(
    tmp_path: Path, name: str, datatype: str, shape: tuple[int | str, ...], sentence: str
) -> None:
    path = tmp_path / "other.onnx"
    model = Export([LOGITS]).model()
    value = Export([LOGITS], shape, name, datatype).model().graph.input[0]
    model.graph.input[0].CopyFrom(value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NotServable) as refused:
        inspect(path)
    assert str(refused.value).startswith(sentence)
