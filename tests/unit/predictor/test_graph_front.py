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

from predictor.engines import OnnxRuntime, SessionOptions, open_session, store
from predictor.engines.device import Device
from predictor.graph import fuse_input, model_input
from serving.contract import Contract
from serving.errors import ContractInvalid
from serving.v2 import Tensor, TensorSpec
from tests.photos import photo
from transformer.pictures import to_model_input

from .graphs import HEIGHT, WIDTH, classifier, contract, every_pixel, identity, image_shape, model, real_pixels, value

OPTIONS = SessionOptions(Device.CPU, lambda _: 1)
NOWHERE = Path("model.onnx")


def session_of(graph: onnx.ModelProto) -> OnnxRuntime:
    with store(graph, NOWHERE) as stored:
        return open_session(stored, OPTIONS)


def run(session: OnnxRuntime, array: NDArray[Any]) -> NDArray[Any]:
    (output,) = session.open_lane().run([Tensor(session.inputs[0].name, array)], [session.outputs[0].name])
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
    "largest": {"scale": "max"},
    "largest, ImageNet": {"scale": "max", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
}


@pytest.mark.parametrize("normalize", NORMALIZE.values(), ids=NORMALIZE)
@pytest.mark.parametrize("datatype", ["FP32", "FP16", "UINT8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_a_fused_graph_makes_the_same_numbers_to_the_last_bit(
    color: str, layout: str, datatype: str, normalize: dict[str, Any]
) -> None:
    rules = contract(input__color=color, input__layout=layout, input__datatype=datatype, input__normalize=normalize)

    for pixels in (real_pixels(3), real_pixels(2) // 3, every_pixel(), np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)):
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
    (output,) = session.open_lane().run([Tensor("pixels", real_pixels()), factor], ["numbers"])

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


@pytest.mark.parametrize("opset", [8, 11, 13, 17, 18, 21])
def test_each_picture_of_a_batch_is_divided_by_its_own_largest_value(opset: int) -> None:
    graph = identity(opset=opset)
    rules = contract(input__color="bgr", input__normalize=NORMALIZE["largest, ImageNet"])
    pixels = np.concatenate([real_pixels(2), real_pixels(2) // 2, np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)])

    fused, plain = both_ways(graph, rules, pixels)

    assert np.array_equal(fused, plain)


def test_an_opset_whose_maximum_does_not_broadcast_is_refused_where_it_is_needed() -> None:
    largest = NORMALIZE["largest"]

    with pytest.raises(ContractInvalid, match=r"has opset 7; fusing needs 8 or later"):
        fuse_input(identity(opset=7), contract(input__normalize=largest))
    fuse_input(identity(datatype="UINT8", opset=7), contract(input__normalize=largest, input__datatype="UINT8"))


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


SHORTEST_EDGE = {
    "input__resize": {"rule": "shortest_edge", "shorter_side": 6, "longer_side": 12},
    "input__height": None,
    "input__width": None,
}
RECTANGLE = {"input__resize": {"rule": "letterbox", "multiple": 2}}


def identity_of(shape: list[Any]) -> onnx.ModelProto:
    node = helper.make_node("Identity", ["images"], ["numbers"])
    return model([node], [value("images", shape)], [value("numbers", shape)])


@pytest.mark.parametrize("rule", [SHORTEST_EDGE, RECTANGLE], ids=["shortest_edge", "letterbox"])
@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        ("NCHW", ["n", 3, "height", "width"]),
        ("NCHW", ["n", 3, None, None]),
        ("NCHW", ["n", "channels", "height", None]),
        ("NHWC", [4, "height", "width", 3]),
    ],
)
def test_sides_that_follow_the_picture_stay_free(layout: str, shape: list[Any], rule: dict[str, Any]) -> None:
    rules = contract(**rule, input__layout=layout, input__normalize=NORMALIZE["largest, ImageNet"])

    fused, plain = session_of(fuse_input(identity_of(shape), rules)), session_of(identity_of(shape))

    rows = shape[0] if isinstance(shape[0], int) else -1
    assert fused.inputs[0].shape == (rows, -1, -1, 3)
    for height, width in ((5, 9), (12, 6)):
        pixels = np.asarray(photo("coffee", (width, height)))[None].repeat(4, axis=0)
        assert np.array_equal(run(fused, pixels), run(plain, to_model_input(pixels, rules.input)))


@pytest.mark.parametrize(
    ("shape", "rule", "expected"),
    [
        (
            ["n", 3, 6, 8],
            SHORTEST_EDGE,
            (
                "resize.rule shortest_edge gives each picture its own size; the height and width of the graph's input "
                "'images' are [6, 8]: take letterbox, crop or stretch, with height 6 and width 8"
            ),
        ),
        (
            ["n", 3, 6, 8],
            RECTANGLE,
            (
                "resize.multiple lets each picture have its own size; the height and width of the graph's input "
                "'images' are [6, 8]: leave multiple out, and give height 6 and width 8"
            ),
        ),
        (["n", 3, "height", 8], SHORTEST_EDGE, "are [n, 8]: take letterbox, crop or stretch, with width 8"),
        (
            ["n", "height", "width", 3],
            SHORTEST_EDGE,
            "input.layout NCHW makes [n, 3, n, n]; the graph's input 'images' has [n, n, n, 3]",
        ),
    ],
)
def test_fixed_sides_are_refused_where_the_size_follows_the_picture(
    shape: list[Any], rule: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ContractInvalid) as caught:
        model_input(identity_of(shape), contract(**rule))

    assert expected in caught.value.message


def test_weights_are_left_where_they_are() -> None:
    fused = fuse_input(classifier(), contract())

    weights = next(each for each in fused.graph.initializer if each.name == "weights")
    assert np.array_equal(numpy_helper.to_array(weights), numpy_helper.to_array(classifier().graph.initializer[0]))


def test_an_input_beside_the_picture_that_nobody_feeds_is_refused() -> None:
    graph = classifier()
    graph.graph.input.append(value("pixel_mask", ["n", HEIGHT, WIDTH], "INT64"))
    rules = {"task": "classification", "output__decoder": "logits", "input__tensor": "images"}

    with pytest.raises(ContractInvalid, match=r"takes 'pixel_mask' beside the picture 'images'.* export"):
        model_input(graph, contract(**rules))
