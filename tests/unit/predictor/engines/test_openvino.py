from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from predictor.engines import Engine, SessionOptions, open_session, store
from predictor.engines.device import Device
from predictor.engines.openvino import MISREAD, OpenVinoOptions, open_model, precisions
from predictor.graph import fuse_output
from serving.contract import Precision
from serving.decoders import Decoder, decoder_type
from serving.errors import InferenceFailed, ModelLoadFailed
from serving.v2 import Tensor, TensorSpec
from serving.v2.tensor import Array
from tests.unit.predictor.graphs import HEIGHT, WIDTH, Dimension, classifier, identity, model, value

BESIDE = Path("/nowhere/model.onnx")


def openvino(
    graph: onnx.ModelProto, path: Path = BESIDE, precision: Precision = Precision.FP32, lanes: int = 1
) -> Engine:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    with store(copy, path) as stored:
        return open_model(stored, OpenVinoOptions(precision, lanes, threads=1))


def onnxruntime(graph: onnx.ModelProto) -> Engine:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    with store(copy, BESIDE) as stored:
        return open_session(stored, SessionOptions(Device.CPU, lambda _: 1))


def run(engine: Engine, *arrays: Array) -> list[Array]:
    inputs = [Tensor(spec.name, array) for spec, array in zip(engine.inputs, arrays, strict=True)]
    return [tensor.array for tensor in engine.open_lane().run(inputs, [spec.name for spec in engine.outputs])]


def numbers(*shape: int) -> Array:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def casts() -> onnx.ModelProto:
    """One input, and an output of each type that V2 and OpenVINO have, in no order of the alphabet."""
    types = {
        "z": TensorProto.UINT8, "b": TensorProto.BOOL, "c": TensorProto.FLOAT16, "d": TensorProto.INT64,
        "e": TensorProto.INT32, "a": TensorProto.INT8, "g": TensorProto.FLOAT, "f": TensorProto.INT16,
        "h": TensorProto.UINT16, "i": TensorProto.DOUBLE,
    }  # fmt: skip
    nodes = [helper.make_node("Cast", ["x"], [name], to=kind) for name, kind in types.items()]
    outputs = [helper.make_tensor_value_info(name, kind, ["n", 4]) for name, kind in types.items()]
    return model(nodes, [value("x", ["n", 4])], outputs)


def of_any_shape() -> onnx.ModelProto:
    """A scalar, a vector that is as long as the numbers wish, and the input itself, twice."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Identity", ["x"], ["again"]),
    ]
    outputs = [
        value("sum", []), value("places", [2, "k"], "INT64"), value("same", ["n", 4]), value("again", ["n", 4])
    ]  # fmt: skip
    return model(nodes, [value("x", ["n", 4])], outputs)


def two_inputs() -> onnx.ModelProto:
    nodes = [helper.make_node("Sub", ["second", "first"], ["difference"])]
    shape: list[Dimension] = ["n", 4]
    return model(nodes, [value("second", shape), value("first", shape)], [value("difference", shape)])


@pytest.mark.parametrize("graph", [casts(), of_any_shape(), two_inputs(), classifier(), classifier(batch=2)])
def test_names_types_shapes_and_answers_are_those_of_onnx_runtime(graph: onnx.ModelProto) -> None:
    one, other = openvino(graph), onnxruntime(graph)

    assert (one.inputs, one.outputs) == (other.inputs, other.outputs)
    arrays = [np.abs(numbers(2, *spec.shape[1:])) + index for index, spec in enumerate(one.inputs)]
    for first, second in zip(run(one, *arrays), run(other, *arrays), strict=True):
        assert first.dtype == second.dtype
        assert first.shape == second.shape
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-5)


def test_an_output_can_be_empty() -> None:
    _, places, *_ = run(openvino(of_any_shape()), np.zeros((1, 4), np.float32))

    assert places.shape == (2, 0)


def test_outputs_come_in_the_order_in_which_they_are_asked_for() -> None:
    lane = openvino(casts()).open_lane()

    answer = lane.run([Tensor("x", numbers(3, 4))], ["i", "a"])

    assert [(tensor.name, tensor.datatype) for tensor in answer] == [("i", "FP64"), ("a", "INT8")]


def test_answers_are_the_callers_to_keep() -> None:
    lane = openvino(identity()).open_lane()
    pictures = numbers(2, 1, 3, HEIGHT, WIDTH)

    first, second = (lane.run([Tensor("images", picture)], ["numbers"])[0].array for picture in pictures)

    assert np.array_equal(first, pictures[0])
    assert np.array_equal(second, pictures[1])


def rectifier() -> onnx.ModelProto:
    """A graph that a runtime would like to compute in the place of its input."""
    return model([helper.make_node("Relu", ["x"], ["y"])], [value("x", ["n", 4])], [value("y", ["n", 4])])


def test_bytes_of_a_request_are_read_where_they_lie_and_left_as_they_are() -> None:
    given = numbers(2, 4).tobytes()
    kept = bytes(bytearray(given))
    array = np.frombuffer(given, np.float32).reshape(2, 4)

    (answer,) = run(openvino(rectifier()), array)

    assert np.array_equal(answer, np.maximum(array, 0))
    assert given == kept


def test_arrays_that_are_not_in_row_major_order_are_read_rightly() -> None:
    array = numbers(4, 3).T

    (answer,) = run(openvino(rectifier()), array)

    assert np.array_equal(answer, np.maximum(array, 0))


def test_a_run_that_openvino_refuses_has_failed_and_the_next_one_works() -> None:
    lane = openvino(classifier()).open_lane()

    with pytest.raises(InferenceFailed, match=r"OpenVINO failed on this request: .*shape"):
        lane.run([Tensor("images", numbers(1, 2, HEIGHT, WIDTH))], ["logits"])

    (answer,) = lane.run([Tensor("images", numbers(1, 3, HEIGHT, WIDTH))], ["logits"])
    assert answer.shape == (1, 5)


def test_lanes_run_side_by_side() -> None:
    engine = openvino(classifier(), lanes=2)
    pictures = [numbers(1, 3, HEIGHT, WIDTH) * scale for scale in (1, 2)]
    alone = [run(engine, picture)[0] for picture in pictures]
    wrong: list[int] = []

    def work(number: int) -> None:
        lane = engine.open_lane()
        for _ in range(50):
            (answer,) = lane.run([Tensor("images", pictures[number])], ["logits"])
            if not np.array_equal(answer.array, alone[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def products() -> onnx.ModelProto:
    """A thousand products in each number: enough to tell one precision from another."""
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    return model([node], [value("x", ["n", 1000])], [value("y", ["n", 64])], weights=numbers(1000, 64))


def error_of(precision: Precision) -> float:
    array = numbers(8, 1000)
    (answer,) = run(openvino(products(), precision=precision), array)
    exact = array.astype(np.float64) @ numbers(1000, 64).astype(np.float64)
    return float(np.abs(answer - exact).max() / np.abs(exact).max())


def test_fp32_is_computed_in_fp32_on_every_cpu() -> None:
    assert error_of(Precision.FP32) < 1e-5


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_another_precision_is_computed_or_refused(precision: Precision) -> None:
    if precision in precisions():
        assert 1e-4 < error_of(precision) < 0.05
    else:
        with pytest.raises(
            ModelLoadFailed, match=rf"precision: {precision} is not computed by this CPU.*PRECISION=fp32"
        ):
            error_of(precision)


def save_apart(folder: Path) -> onnx.ModelProto:
    """Write a classifier and its weights, and return what of it a reader holds that leaves these where they are."""
    onnx.save_model(
        classifier(), folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    return onnx.load(folder / "model.onnx", load_external_data=False)


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    engine = openvino(save_apart(tmp_path), tmp_path / "model.onnx")

    picture = numbers(1, 3, HEIGHT, WIDTH)
    assert np.array_equal(run(engine, picture)[0], run(openvino(classifier()), picture)[0])


@pytest.mark.parametrize("content", [None, b"\0" * 8])
def test_weights_that_are_missing_or_cut_off_are_told(tmp_path: Path, content: bytes | None) -> None:
    graph = save_apart(tmp_path)
    (tmp_path / "weights.bin").unlink()
    if content is not None:
        (tmp_path / "weights.bin").write_bytes(content)

    with pytest.raises(ModelLoadFailed, match=r"weights beside .*model\.onnx cannot be read"):
        openvino(graph, tmp_path / "model.onnx")


def test_strings_are_refused() -> None:
    shape: list[Dimension] = ["n", 4]
    graph = model(
        [helper.make_node("Identity", ["x"], ["y"])], [value("x", shape, "BYTES")], [value("y", shape, "BYTES")]
    )

    with pytest.raises(ModelLoadFailed, match=r"'x' is of type string.*ENGINE=onnxruntime"):
        openvino(graph)


def test_an_operator_that_openvino_has_not_is_told_with_the_engine_that_may() -> None:
    node = helper.make_node("Riddle", ["x"], ["y"], domain="a.stranger")
    graph = model([node], [value("x", ["n", 4])], [value("y", ["n", 4])])

    with pytest.raises(ModelLoadFailed) as caught:
        openvino(graph)

    assert "OpenVINO cannot load /nowhere/model.onnx" in caught.value.message
    assert "Riddle" in caught.value.message
    assert "ENGINE=onnxruntime" in caught.value.message
    assert "\n" not in caught.value.message


def reduction(operator: str, opset: int) -> onnx.ModelProto:
    inputs = ["x"]
    constants: dict[str, Any] = {}
    attributes: dict[str, Any] = {"axes": [1]}
    if opset >= 18:
        inputs, constants, attributes = ["x", "axes"], {"axes": np.array([1])}, {}
    node = helper.make_node(operator, inputs, ["y"], keepdims=0, **attributes)
    return model([node], [value("x", ["n", 5, 3])], [value("y", ["n", 3])], opset=opset, **constants)


REDUCTIONS = [
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSumSquare",
]  # fmt: skip


@pytest.mark.parametrize("opset", [11, 13, 17, 18])
@pytest.mark.parametrize("operator", REDUCTIONS)
def test_reductions_are_right_or_refused(operator: str, opset: int) -> None:
    graph = reduction(operator, opset)
    array = np.abs(numbers(2, 5, 3)) + 1

    if operator in MISREAD and 13 <= opset < 18:
        with pytest.raises(ModelLoadFailed, match=f"misreads the axes of {operator}"):
            openvino(graph)
    else:
        np.testing.assert_allclose(run(openvino(graph), array)[0], run(onnxruntime(graph), array)[0], rtol=1e-5)


def test_rows_are_gathered_from_the_first_columns_of_many() -> None:
    nodes = [
        helper.make_node("Slice", ["x", "start", "stop", "axis"], ["boxes"]),
        helper.make_node("GatherElements", ["boxes", "places"], ["y"], axis=1),
    ]
    constants: dict[str, Any] = {"start": np.array([0]), "stop": np.array([4]), "axis": np.array([2])}
    places = np.broadcast_to(np.array([[7], [2], [5]]), (1, 3, 4)).copy()
    graph = model(nodes, [value("x", ["n", 10, 85])], [value("y", ["n", 3, 4])], **constants, places=places)
    array = numbers(1, 10, 85)

    assert np.array_equal(run(openvino(graph), array)[0], array[:, [7, 2, 5], :4])


def segmenter() -> Decoder[Any]:
    kind = decoder_type("segmentation", "logits")
    return kind(kind.rules_type.model_validate({"decoder": "logits"}), (HEIGHT, WIDTH), 3)


@pytest.mark.parametrize("opset", [13, 17, 18])
def test_numbers_that_are_not_finite_are_found_in_the_compiled_graph(opset: int) -> None:
    engine = openvino(fuse_output(identity(opset=opset), segmenter()))
    pictures = numbers(4, 3, HEIGHT, WIDTH)
    pictures[1, 2, 3, 4], pictures[2, 0, 0, 0], pictures[3, 1, 1, 1] = np.nan, np.inf, 3e38

    finite = dict(zip([spec.name for spec in engine.outputs], run(engine, pictures), strict=True))["finite"]

    assert finite[:, 0].tolist() == [True, False, False, True]


def test_importing_it_sends_nothing_writes_nothing_and_starts_no_thread(tmp_path: Path) -> None:
    program = (
        "import sys, threading, predictor.engines.openvino\n"
        "unwanted = {'openvino_telemetry', 'openvino.tools.ovc'} & sys.modules.keys()\n"
        "print(len(unwanted), threading.active_count())"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}

    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[4],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )

    assert told.stdout.split() == ["0", "1"]
    assert not (tmp_path / "intel").exists()


def test_a_free_axis_is_told_as_one_that_a_request_may_choose() -> None:
    specs: Sequence[TensorSpec] = openvino(identity()).inputs

    assert specs == (TensorSpec("images", "FP32", (-1, 3, HEIGHT, WIDTH)),)
