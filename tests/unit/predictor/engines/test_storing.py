from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from predictor.engines import open_session, store
from predictor.engines.storing import GraphInput
from tests.unit.predictor.graphs import model, value

from .sessions import NOWHERE, engine_of, network, options, rows


def answer(graph: onnx.ModelProto) -> list[bytes]:
    lane = engine_of(graph).open_lane()
    return [tensor.array.tobytes() for tensor in lane.run(rows(2), ["scores", "best"])]


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")


def test_weights_are_stored_beside_the_graph_and_read_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with store(network(), NOWHERE) as stored:
        (folder,) = tmp_path.iterdir()
        assert stored.source == str(folder / "model.onnx")
        assert (folder / "weights").stat().st_size == 32 * 27 * 4
        assert (folder / "model.onnx").stat().st_size < 2000
        lane = open_session(stored, options()).open_lane()

    assert list(tmp_path.iterdir()) == []
    assert lane.run(rows(2), ["scores"])[0].shape == (2, 32)


@pytest.mark.usefixtures("no_room")
def test_a_graph_is_kept_in_memory_where_there_is_no_room(capsys: pytest.CaptureFixture[str]) -> None:
    with store(network(), NOWHERE) as stored:
        assert isinstance(stored.source, bytes)

    assert "graph kept in memory" in "".join(capsys.readouterr())


STORE = """
import sys
from predictor.engines import store
from tests.unit.predictor.engines.sessions import NOWHERE, network
stored = store(network(), NOWHERE)
print(stored.source, flush=True)
sys.stdin.read()
"""


@contextmanager
def storing(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has stored a graph, and its folder."""
    command, environment = [sys.executable, "-c", STORE], {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip()).parent
        finally:
            process.kill()


def test_what_a_process_left_that_was_killed_is_deleted_and_what_a_living_one_uses_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with storing(tmp_path) as (living, used), storing(tmp_path) as (killed, forsaken):
        killed.kill()
        killed.wait()
        assert {used, forsaken} == set(tmp_path.iterdir())

        with store(network(), NOWHERE), store(network(), NOWHERE):
            assert len(list(tmp_path.iterdir())) == 3
            assert not forsaken.exists()
        assert living.poll() is None
        assert list(tmp_path.iterdir()) == [used]


def test_a_graph_whose_weights_alone_have_room_is_kept_in_memory_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    graph = network()
    graph.doc_string = "x" * 100_000
    weights = bytes(graph.graph.initializer[0].raw_data)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        stored = store(graph, NOWHERE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with stored:
        assert list(tmp_path.iterdir()) == []
        (kept,) = onnx.load_from_string(stored.source).graph.initializer
    assert (kept.raw_data, kept.data_location) == (weights, onnx.TensorProto.DEFAULT)
    assert "graph kept in memory" in "".join(capsys.readouterr())


def test_a_stored_graph_answers_as_one_in_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = answer(network())
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")

    assert stored == answer(network())


def test_a_graph_knows_the_inputs_that_are_no_weights() -> None:
    graph = network()
    graph.graph.input.append(value("weights", [32, 3, 3, 3]))

    with store(graph, NOWHERE) as stored:
        assert stored.inputs == (GraphInput("images", (None, 3, 8, 8)), GraphInput("factor", (None, 1)))


def test_weights_inside_of_branches_are_read_too() -> None:
    branches = []
    for name, number in (("then_branch", 1.0), ("else_branch", 2.0)):
        constant = helper.make_tensor(f"{name}_y", onnx.TensorProto.FLOAT, [512], [number] * 512)
        node = helper.make_node("Identity", [f"{name}_y"], [f"{name}_out"])
        branches.append(helper.make_graph([node], name, [], [value(f"{name}_out", [512])], [constant]))
    nodes = [helper.make_node("If", ["x"], ["y"], then_branch=branches[0], else_branch=branches[1])]
    graph = model(nodes, [helper.make_tensor_value_info("x", onnx.TensorProto.BOOL, [])], [value("y", [512])])
    with store(graph, NOWHERE) as stored:
        session = open_session(stored, options())._session._session

    assert session.run(None, {"x": np.array(False)})[0][0] == 2  # noqa: FBT003


@pytest.mark.parametrize("in_memory", [False, True])
def test_graphs_differ_in_their_digests_if_they_differ_in_anything(
    monkeypatch: pytest.MonkeyPatch, *, in_memory: bool
) -> None:
    if in_memory:
        monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    other_weight, other_name = network(), network()
    other_weight.graph.initializer[0].raw_data = other_weight.graph.initializer[0].raw_data[:-1] + b"\1"
    other_name.graph.node[0].name = "another"
    digests = []
    for graph in (network(), network(), other_weight, other_name):
        with store(graph, NOWHERE) as stored:
            digests.append(stored.digest())

    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_weights_of_another_file_count_by_their_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(network(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    digests = []
    for size in (0, 0, 1):
        (tmp_path / "w.bin").write_bytes((tmp_path / "w.bin").read_bytes() + b"\0" * size) if size else None
        with store(onnx.load(path, load_external_data=False), path) as stored:
            assert isinstance(stored.source, bytes)
            digests.append(stored.digest())

    assert digests[0] == digests[1] != digests[2]
