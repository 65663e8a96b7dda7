from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from onnx import helper

from predictor.engines import OnnxRuntime, SessionOptions, open_session, store
from predictor.engines.device import Device
from predictor.graph import read_graph
from serving.errors import ModelLoadFailed

from .graphs import classifier, image_shape, model, value

OPTIONS = SessionOptions(Device.CPU, lambda _: 1)
NOWHERE = Path("model.onnx")


def session_of(graph: onnx.ModelProto) -> OnnxRuntime:
    with store(graph, NOWHERE) as stored:
        return open_session(stored, OPTIONS)


def test_a_file_that_is_not_there_is_told_with_the_key_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=r"model\.onnx does not exist: model.file in model.yaml names"):
        read_graph(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", b"\x08\x07", b"\x00" * 64, bytes(range(256))], ids=repr
)
def test_a_file_that_is_no_onnx_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(ModelLoadFailed, match="is not an ONNX model"):
        read_graph(path)


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="is not an ONNX model"):
        read_graph(tmp_path)


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")

    with pytest.raises(ModelLoadFailed, match=r"model\.onnx is a pipe"):
        read_graph(tmp_path / "model.onnx")


def test_a_graph_with_a_weight_that_is_not_there_is_refused() -> None:
    graph = classifier()
    del graph.graph.initializer[:]

    with pytest.raises(ModelLoadFailed, match="ONNX Runtime cannot load"):
        session_of(graph)


def test_an_operator_that_nobody_knows_is_refused() -> None:
    shape = image_shape("NCHW")
    graph = model([helper.make_node("Nonsense", ["images"], ["y"])], [value("images", shape)], [value("y", shape)])

    with pytest.raises(ModelLoadFailed, match="Nonsense"):
        session_of(graph)


def test_an_output_that_v2_has_no_datatype_for_is_refused() -> None:
    shape = image_shape("NCHW")
    sequence = helper.make_tensor_sequence_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = model([helper.make_node("SequenceConstruct", ["images"], ["y"])], [value("images", shape)], [sequence])

    with pytest.raises(ModelLoadFailed, match="'y' is a seq"):
        session_of(graph)
