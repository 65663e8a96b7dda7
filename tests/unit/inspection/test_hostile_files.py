"""Files that were made to exhaust, to mislead, or to be executed by who reads them."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspection import InspectionError, NotAModel, inspect
from inspection.graph import missing_files, read_graph
from inspection.literals import MAX_TEXT, number, numbers, parse_literal, read_yaml, whole
from inspection.wire import MAX_SKELETON, read_skeleton
from tests.fuzz import EXAMPLES
from tests.unit.inspection.exports import COCO_NAMES, Export, Out, ultralytics
from tests.unit.inspection.families import FAMILIES

KEYS = ["names", "imgsz", "stride", "task", "license", "args", "description", "mean", "std", "labels", "character"]
YOLO = [Out("output0", (1, 84, 8400), ["Concat"])]
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NESTED = "[" * 5000
LITERALS = ["{0: 'a'" * 500, NESTED, "9" * 5000, "1e999", "{1: 2}", "__import__('os').system('true')", "[1, [2]]", "\0"]


def settle(path: Path) -> None:
    """Inspect; what cannot be inspected is refused, and nothing else goes wrong."""
    with contextlib.suppress(InspectionError):
        contract = inspect(path).contract()
        json.dumps(contract)
        assert contract["task"]


@FUZZ
@given(metadata=st.dictionaries(st.sampled_from(KEYS), st.text(max_size=60) | st.sampled_from(LITERALS), max_size=6))
def test_any_metadata_is_read_or_left_alone(tmp_path: Path, metadata: dict[str, str]) -> None:
    settle(Export(YOLO, metadata=metadata).write(tmp_path))


@FUZZ
@given(
    key=st.sampled_from(sorted(ultralytics("detect", COCO_NAMES))),
    value=JSON_VALUES.map(str) | st.sampled_from(LITERALS),
)
def test_any_value_of_a_known_key_is_read_or_left_alone(tmp_path: Path, key: str, value: str) -> None:
    settle(Export(YOLO, metadata=ultralytics("detect", COCO_NAMES) | {key: value}).write(tmp_path))


CONFIGS = {
    "config.json": FAMILIES["timm"].export.beside["config.json"],
    "preprocessor_config.json": FAMILIES["DETR, Hugging Face"].export.beside["preprocessor_config.json"],
    "pipeline.json": FAMILIES["MMDeploy"].export.beside["pipeline.json"],
}


@FUZZ
@given(name=st.sampled_from(sorted(CONFIGS)), value=JSON_VALUES, place=st.integers(0, 30))
def test_any_value_in_a_file_beside_is_read_or_left_alone(tmp_path: Path, name: str, value: object, place: int) -> None:
    config = dict(CONFIGS[name])
    inner = config["pretrained_cfg"] if name == "config.json" and place % 2 else config
    changed = {**inner, sorted(inner)[place % len(inner)]: value}
    if inner is not config:
        changed = {**config, "pretrained_cfg": changed}
    export = Export([Out("logits", ("n", 5), ["Gemm"])], ("n", 3, 224, 224), "pixel_values", beside={name: changed})
    settle(export.write(tmp_path))


@FUZZ
@given(name=st.sampled_from(["infer_cfg.yml", "inference.yml", "deploy.yaml"]), value=JSON_VALUES)
def test_any_yaml_beside_is_read_or_left_alone(tmp_path: Path, name: str, value: object) -> None:
    ops = {"transform_ops": [{"ResizeImage": value}, {"NormalizeImage": value}, value]}
    text = json.dumps({"PreProcess": ops, "Preprocess": value, "Deploy": {"transforms": value}, "label_list": value})
    settle(Export([Out("logits", ("n", 5), ["Gemm"])], ("n", 3, 224, 224), "x", beside={name: text}).write(tmp_path))


@FUZZ
@given(
    name=st.sampled_from(["Ultralytics YOLOv8-seg", "SegFormer, Hugging Face", "Keras, which divides by itself"]),
    place=st.floats(0, 1),
    byte=st.integers(0, 255),
)
def test_any_byte_may_be_wrong(tmp_path: Path, name: str, place: float, byte: int) -> None:
    content = bytearray(FAMILIES[name].export.model().SerializeToString())
    content[int(place * (len(content) - 1))] = byte
    (tmp_path / "model.onnx").write_bytes(content)
    settle(tmp_path / "model.onnx")


@FUZZ
@given(content=st.binary(max_size=400))
def test_any_bytes_are_no_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    settle(tmp_path / "model.onnx")


NAMES = ["output0", "boxes", "scores", "labels", "logits", "pred_boxes", "embeds", "out", "dets", "masks", "x", ""]
SIZES = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 20, 32, 80, 84, 85, 92, 116, 224, 300, 640, 1000, 8400, 25200, "n", None])
OUTS = st.builds(
    Out,
    st.sampled_from(NAMES),
    st.lists(SIZES, min_size=1, max_size=5),
    st.lists(st.sampled_from(["Sigmoid", "Softmax", "Relu"]), max_size=1),
    st.sampled_from(["FP32", "FP16", "INT64"]),
)
INPUTS = st.sampled_from([(1, 3, 640, 640), ("n", 3, 224, 224), ("n", 3, None, None), (1, 320, 320, 3), (None,) * 4])


@FUZZ
@given(outputs=st.lists(OUTS, min_size=1, max_size=4, unique_by=lambda out: out.name), shape=INPUTS)
def test_any_outputs_are_read_or_refused(
    tmp_path: Path, outputs: list[Out], shape: tuple[int | str | None, ...]
) -> None:
    settle(Export(outputs, shape).write(tmp_path))


def test_a_literal_is_never_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    code = f"[open({str(marker)!r}, 'w').close()]"
    assert parse_literal(code) is None
    settle(Export(YOLO, metadata={"names": code, "stride": "32"}).write(tmp_path))
    assert not marker.exists()


def test_texts_beyond_the_bounds_are_left_alone(tmp_path: Path) -> None:
    assert parse_literal("[" + "1," * MAX_TEXT + "]") is None
    path = Export(YOLO, metadata={"names": "x" * (MAX_TEXT + 1)}).write(tmp_path)
    assert any("was not read" in trap for trap in inspect(path).traps)


def test_yaml_that_multiplies_is_left_alone(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]" for a, b in zip("abcdefg", "bcdefgh", strict=True)
    ]
    (tmp_path / "inference.yml").write_text("\n".join(lines))
    assert read_yaml(tmp_path / "inference.yml") is None


@pytest.mark.parametrize("text", ["nan", "inf", "1/0", "1e999", "", "x", "1" * 60])
def test_what_is_no_finite_number_is_none(text: str) -> None:
    assert number(text) is None
    assert whole(text) is None
    assert numbers([text, 1, 2]) is None


def test_a_fraction_is_a_number() -> None:
    assert number("1./255.") == pytest.approx(1 / 255)


def test_weights_are_not_read(tmp_path: Path) -> None:
    export = Export(YOLO)
    model = export.model()
    big = onnx.numpy_helper.from_array(np.zeros((4, 1 << 20), "float32"), "weights")
    model.graph.initializer.append(big)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    tracemalloc.start()
    read_graph(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 16 << 20
    assert peak < 4 << 20


def test_what_is_left_of_a_model_is_the_model_without_its_numbers(tmp_path: Path) -> None:
    path = FAMILIES["YOLOv5"].export.write(tmp_path)
    left, whole_model = onnx.ModelProto.FromString(read_skeleton(path)), onnx.load(path)
    assert left == whole_model
    whole_model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(5000, "float32"), "w"))
    onnx.save(whole_model, path)
    left = onnx.ModelProto.FromString(read_skeleton(path))
    assert left.graph.initializer[-1].dims == [5000]
    assert not left.graph.initializer[-1].raw_data


def test_a_structure_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x12" + varint(MAX_SKELETON + 1) + bytes(MAX_SKELETON + 1))
    with pytest.raises(NotAModel, match="it still has more than 16 MiB"):
        inspect(path)
    nodes = b"\x0a\x00" * 500_000
    path.write_bytes(b"\x3a" + varint(len(nodes)) + nodes)
    with pytest.raises(NotAModel, match="more than 400000 nodes, weights and shapes"):
        inspect(path)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def external(tmp_path: Path, location: str) -> Path:
    model = Export(YOLO).model()
    tensor = model.graph.initializer.add(name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "a/../../b", "..\\x", "", "x" * 5000, "a\0b"])
def test_weights_that_cannot_be_beside_the_model_are_missing(tmp_path: Path, location: str) -> None:
    graph = read_graph(external(tmp_path, location))
    assert missing_files(graph) == (location,)


def test_weights_beside_the_model_are_carried_along(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = external(tmp_path / "here", "model.onnx.data")
    assert any("'model.onnx.data', which is not beside the model" in trap for trap in inspect(path).traps)
    (path.parent / "model.onnx.data").write_bytes(bytes(16))
    folder, written = inspect(path).write(tmp_path / "there")
    assert (folder / "model.onnx.data").read_bytes() == bytes(16)
    assert {each.name for each in written} == {"model.onnx", "model.onnx.data", "model.yaml"}
