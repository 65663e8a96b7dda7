from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from predictor.device import Device
from predictor.graph import check_output, fuse_input, model_input, read_graph
from predictor.session import Session, SessionOptions, open_session
from serving.contract import Contract
from serving.errors import ContractInvalid, ModelLoadFailed
from serving.v2 import Tensor, TensorSpec
from transformer.pictures import to_model_input

from .graphs import HEIGHT, WIDTH, classifier, contract, every_pixel, identity, image_shape, model, real_pixels, value

OPTIONS = SessionOptions(Device.CPU, 1)
NOWHERE = Path("model.onnx")


def session_of(graph: onnx.ModelProto) -> Session:
    return open_session(graph, NOWHERE, OPTIONS)


def run(session: Session, array: NDArray[Any]) -> NDArray[Any]:
    (output,) = session.run([Tensor(session.inputs[0].name, array)], [session.outputs[0].name])
    return output.array


def both_ways(graph: onnx.ModelProto, rules: Contract, pixels: NDArray[np.uint8]) -> tuple[Any, Any]:
    fused = run(session_of(fuse_input(graph, rules)), pixels)
    return fused, run(session_of(graph), to_model_input(pixels, rules.input))


NORMALIZE: dict[str, dict[str, Any]] = {
    "defaults": {},
    "nothing": {"scale": 1},
    "ImageNet": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    "bytes": {"scale": 1, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
    "to one": {"scale": 1, "mean": [127.5], "std": [127.5]},
    "mean alone": {"scale": 1, "mean": [127, 117, 104]},
    "std alone": {"scale": 1, "std": [3.0, 7.0, 9.0]},
    "negative std": {"std": [-0.5]},
}


@pytest.mark.parametrize("normalize", NORMALIZE.values(), ids=NORMALIZE)
@pytest.mark.parametrize("datatype", ["FP32", "FP16", "UINT8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_a_fused_graph_makes_the_same_numbers_to_the_last_bit(
    color: str, layout: str, datatype: str, normalize: dict[str, Any]
) -> None:
    rules = contract(input__color=color, input__layout=layout, input__datatype=datatype, input__normalize=normalize)

    for pixels in (real_pixels(3), every_pixel()):
        fused, plain = both_ways(identity(layout, datatype), rules, pixels)
        assert fused.dtype == plain.dtype
        assert np.array_equal(fused, plain)


NUMBERS = st.floats(-300, 300, width=32, allow_subnormal=False)
DIVISORS = st.floats(2**-7, 300, width=32) | st.floats(-300, -(2**-7), width=32)


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(2**-13, 10, width=32),
    mean=st.lists(NUMBERS, min_size=3, max_size=3) | st.lists(NUMBERS, min_size=1, max_size=1),
    std=st.lists(DIVISORS, min_size=3, max_size=3) | st.lists(DIVISORS, min_size=1, max_size=1),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    datatype=st.sampled_from(["FP32", "FP16"]),
)
def test_a_fused_graph_makes_the_same_numbers_by_any_rule(
    scale: float, mean: list[float], std: list[float], layout: str, datatype: str
) -> None:
    normalize = {"scale": scale, "mean": mean, "std": std}
    rules = contract(input__layout=layout, input__datatype=datatype, input__normalize=normalize)

    with np.errstate(over="ignore"):
        fused, plain = both_ways(identity(layout, datatype), rules, every_pixel())

    assert np.array_equal(fused, plain)


def test_a_fused_convolution_gives_the_same_logits() -> None:
    rules = contract(input__normalize=NORMALIZE["ImageNet"])

    fused, plain = both_ways(classifier(), rules, real_pixels(4))

    assert np.array_equal(fused, plain)


@pytest.mark.parametrize("batch", [1, 4, "n", "batch", None])
def test_the_fused_input_is_pixels_with_the_graphs_own_batch(batch: Any) -> None:
    session = session_of(fuse_input(identity(batch=batch), contract()))

    rows = batch if isinstance(batch, int) else -1
    assert session.inputs == (TensorSpec("pixels", "UINT8", (rows, HEIGHT, WIDTH, 3)),)


def test_the_model_itself_is_not_changed() -> None:
    graph = identity()
    before = graph.SerializeToString(deterministic=True)

    fuse_input(graph, contract())

    assert graph.SerializeToString(deterministic=True) == before


def test_a_rule_that_does_nothing_adds_no_node() -> None:
    fused = fuse_input(identity("NHWC", "UINT8"), contract(input__layout="NHWC", input__datatype="UINT8"))

    assert [node.op_type for node in fused.graph.node] == ["Identity", "Identity"]


def test_names_that_the_graph_has_taken_are_left_to_it() -> None:
    taken = ["pixels", "transpose_pixels", "cast_pixels", "mul_pixels", "sub_pixels", "div_pixels"]
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in zip(["images", *taken], taken, strict=False)]
    nodes += [
        helper.make_node("Mul", [taken[-1], "contract_mul"], ["scaled"]),
        helper.make_node("Add", ["scaled", "contract_sub"], ["numbers"]),
    ]
    shape = image_shape("NCHW")
    graph = model(
        nodes,
        [value("images", shape)],
        [value("numbers", shape)],
        contract_mul=np.array(2, np.float32),
        contract_sub=np.array(3, np.float32),
    )
    rules = contract(input__normalize=NORMALIZE["ImageNet"])

    fused, plain = both_ways(graph, rules, real_pixels())

    assert fuse_input(graph, rules).graph.input[0].name == "pixels_2"
    assert np.array_equal(fused, plain)


def test_an_input_that_is_called_pixels_itself_is_fused_under_another_name() -> None:
    shape = image_shape("NCHW")
    node = helper.make_node("Identity", ["pixels"], ["numbers"])
    graph = model([node], [value("pixels", shape)], [value("numbers", shape)])

    fused, plain = both_ways(graph, contract(), real_pixels())

    assert np.array_equal(fused, plain)


def test_of_several_inputs_the_contract_names_the_picture() -> None:
    shape = image_shape("NCHW")
    node = helper.make_node("Mul", ["images", "factor"], ["numbers"])
    graph = model([node], [value("factor", ["n", 1, 1, 1]), value("images", shape)], [value("numbers", shape)])
    rules = contract(input__tensor="images", input__normalize={"scale": 1})

    session = session_of(fuse_input(graph, rules))
    factor = Tensor("factor", np.full((1, 1, 1, 1), 2, dtype=np.float32))
    (output,) = session.run([Tensor("pixels", real_pixels()), factor], ["numbers"])

    assert {spec.name for spec in session.inputs} == {"pixels", "factor"}
    assert np.array_equal(output.array, real_pixels().transpose(0, 3, 1, 2) * np.float32(2))


def test_a_weight_that_is_listed_among_the_inputs_is_none() -> None:
    graph = classifier()
    graph.graph.input.append(value("weights", [5, 3, 3, 3]))

    assert model_input(graph, contract()).name == "images"


@pytest.mark.parametrize("opset", [1, 6])
def test_an_opset_before_numpys_broadcasting_is_refused_with_a_way_out(opset: int) -> None:
    with pytest.raises(ContractInvalid, match=rf"has opset {opset}; fusing needs 7 or later.*FUSE_INPUT=false"):
        fuse_input(identity(opset=opset), contract())


@pytest.mark.parametrize("opset", [7, 9, 13, 21])
def test_opsets_old_and_new_are_fused(opset: int) -> None:
    graph = classifier()
    graph.opset_import[0].version = opset
    rules = contract(input__color="bgr", input__normalize=NORMALIZE["ImageNet"])

    fused, plain = both_ways(graph, rules, real_pixels())

    assert np.array_equal(fused, plain)


def two_inputs() -> onnx.ModelProto:
    shape = image_shape("NCHW")
    return model(
        [helper.make_node("Add", ["left", "right"], ["numbers"])],
        [value("left", shape), value("right", shape)],
        [value("numbers", shape)],
    )


def without_shape() -> onnx.ModelProto:
    graph = identity()
    graph.graph.input[0].type.tensor_type.ClearField("shape")
    return graph


INPUTS: dict[str, tuple[onnx.ModelProto, dict[str, Any], str]] = {
    "another name": (
        identity(),
        {"input__tensor": "image"},
        "input.tensor is 'image'; the graph has the inputs 'images'",
    ),
    "several and no name": (
        two_inputs(),
        {},
        "the graph has the inputs 'left', 'right': input.tensor must name one of them",
    ),
    "another datatype": (
        identity(datatype="FP16"),
        {},
        "input.datatype is FP32; the graph's input 'images' is FLOAT16",
    ),
    "another layout": (
        identity("NHWC"),
        {},
        "input.layout NCHW, height 6 and width 8 make [n, 3, 6, 8]; the graph's input 'images' has [n, 6, 8, 3]",
    ),
    "another height": (identity(), {"input__height": 7}, "height 7 and width 8 make [n, 3, 7, 8]"),
    "another rank": (
        model([helper.make_node("Identity", ["images"], ["y"])], [value("images", ["n", 9])], [value("y", ["n", 9])]),
        {},
        "the graph's input 'images' has [n, 9]",
    ),
    "no shape": (without_shape(), {}, "the graph's input 'images' has []"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_that_is_not_the_contracts_is_told_with_both(name: str) -> None:
    graph, changes, expected = INPUTS[name]

    with pytest.raises(ContractInvalid) as caught:
        model_input(graph, contract(**changes))

    assert expected in caught.value.message


def test_sizes_that_the_graph_leaves_open_are_the_contracts() -> None:
    shape: list[Any] = ["n", 3, "height", "width"]
    graph = model(
        [helper.make_node("Identity", ["images"], ["numbers"])], [value("images", shape)], [value("numbers", shape)]
    )

    session = session_of(fuse_input(graph, contract()))

    assert session.inputs[0].shape == (-1, HEIGHT, WIDTH, 3)


def test_an_output_that_is_not_the_contracts_is_told() -> None:
    with pytest.raises(ContractInvalid, match=r"output.tensor is 'scores'; the graph has the outputs 'logits'"):
        check_output(classifier(), contract(output__tensor="scores"))


def test_of_several_outputs_the_contract_names_one() -> None:
    graph = two_outputs()
    check_output(graph, contract(output__tensor="b"))

    with pytest.raises(ContractInvalid, match=r"outputs 'a', 'b': output.tensor must name one of them"):
        check_output(graph, contract())


def two_outputs() -> onnx.ModelProto:
    shape = image_shape("NCHW")
    nodes = [helper.make_node("Identity", ["images"], [name]) for name in "ab"]
    return model(nodes, [value("images", shape)], [value(name, shape) for name in "ab"])


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


def test_weights_are_left_where_they_are() -> None:
    fused = fuse_input(classifier(), contract())

    weights = next(each for each in fused.graph.initializer if each.name == "weights")
    assert np.array_equal(numpy_helper.to_array(weights), numpy_helper.to_array(classifier().graph.initializer[0]))
