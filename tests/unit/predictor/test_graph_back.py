"""The back of the graph compiler: the decoder's program in the graph gives what it gives in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from predictor.graph import NotCompilable, fuse_output
from serving.decoders import DECODERS, FINITE, Array, Decoder, NumpyOps
from serving.decoders.candidates import CLASSES, SCORES
from serving.errors import ContractInvalid, PredictorFault
from serving.v2 import InferResponse, ModelMetadata, Tensor, TensorSpec
from serving.v2.tensor import datatype_of
from tests.unit.decoders.examples import EXAMPLES, ROWS, Example
from tests.unit.decoders.running import decoder_of
from tests.unit.predictor.graphs import Dimension
from transformer.reading import OutputReader

OPSETS = range(11, 27)
IR_VERSIONS = {opset: helper.find_min_ir_version_for([helper.make_opsetid("", opset)]) for opset in OPSETS}
RAGGED = {name for name, decoder in DECODERS["detection"].items() if not decoder.batched}


def passing(outputs: Mapping[str, Array], *, opset: int = 17, free: Mapping[str, tuple[int, ...]] | None = None) -> Any:
    """A graph that gives what it is given; the axes in `free`, and the batch, are of any size."""

    def value(name: str, output: str, array: Array) -> onnx.ValueInfoProto:
        anything = {0} if free is None else set(free.get(output, ()))
        shape: list[Dimension] = [
            f"{output}_{axis}" if axis in anything else size for axis, size in enumerate(array.shape)
        ]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape)

    graph = helper.make_graph(
        [helper.make_node("Identity", [f"raw_{name}"], [name]) for name in outputs],
        "passing",
        [value(f"raw_{name}", name, array) for name, array in outputs.items()],
        [value(name, name, array) for name, array in outputs.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=max(8, IR_VERSIONS[opset])
    )


def run(model: onnx.ModelProto, outputs: Mapping[str, Array]) -> dict[str, Array]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    feed = {f"raw_{name}": array for name, array in outputs.items()}
    return dict(zip(names, session.run(names, feed), strict=True))


def in_numpy(decoder: Decoder[Any], outputs: Mapping[str, Array]) -> dict[str, Array]:
    names = decoder.bind({name: array.shape for name, array in outputs.items()})
    return decoder.read(NumpyOps(), {part: outputs[name] for part, name in names.items()})


WITH_POWERS = {"yolox", "ssd with softmax", "detr", "detr with sigmoid"}
"""ONNX Runtime's exp is its own, and differs from NumPy's in the last bit."""


def assert_equal(name: str, found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    assert found.keys() - {FINITE} == expected.keys()
    for output, array in expected.items():
        assert found[output].dtype == array.dtype
        atol = 1e-5 if name in WITH_POWERS else 0
        np.testing.assert_allclose(found[output], array, rtol=0, atol=atol, err_msg=output)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("opset", OPSETS)
def test_the_graph_gives_what_numpy_gives_whatever_its_opset(name: str, opset: int) -> None:
    example = EXAMPLES[name]
    decoder = example.bound(candidates=13)
    found = run(fuse_output(passing(example.outputs, opset=opset), decoder), example.outputs)
    assert found[FINITE].all()
    assert found[FINITE].shape == (len(found[SCORES]), len(decoder.tensors()))
    assert_equal(name, found, in_numpy(decoder, example.outputs))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_graph_has_the_outputs_that_the_decoder_names_with_their_datatypes(name: str) -> None:
    decoder = EXAMPLES[name].bound()
    fused = fuse_output(passing(EXAMPLES[name].outputs), decoder)
    onnx.checker.check_model(fused, full_check=True)
    assert [value.name for value in fused.graph.output] == [*decoder.reduced, FINITE]


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("candidates", [1, 1000])
def test_fewer_or_more_candidates_than_there_are_boxes_change_nothing_else(name: str, candidates: int) -> None:
    example = EXAMPLES[name]
    decoder = example.bound(candidates=candidates)
    found = run(fuse_output(passing(example.outputs), decoder), example.outputs)
    assert_equal(name, found, in_numpy(decoder, example.outputs))
    scores = found[SCORES]
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize(
    "name", [name for name, each in EXAMPLES.items() if each.decoder not in {"tensorflow", "yolox"}]
)
def test_nothing_but_the_ranks_needs_to_stand_in_the_file(name: str) -> None:
    example = EXAMPLES[name]
    free = {output: tuple(range(array.ndim)) for output, array in example.outputs.items()}
    decoder = example.bound(candidates=50)
    fused = fuse_output(passing(example.outputs, free=free), decoder)
    assert_equal(name, run(fused, example.outputs), in_numpy(decoder, example.outputs))


def test_a_graph_that_leaves_too_much_open_is_not_compiled() -> None:
    model = passing(EXAMPLES["tensorflow"].outputs, free={"detection_scores": (1,)})
    with pytest.raises(NotCompilable, match="how many boxes the graph gives is not known"):
        fuse_output(model, EXAMPLES["tensorflow"].bound())


def test_a_graph_older_than_opset_11_is_not_compiled() -> None:
    model = passing(EXAMPLES["yolov5"].outputs)
    model.opset_import[0].version = 10
    with pytest.raises(NotCompilable, match="opset 10; 11 or later"):
        fuse_output(model, EXAMPLES["yolov5"].bound())


def test_outputs_that_are_not_those_of_the_decoder_are_refused() -> None:
    with pytest.raises(ContractInvalid, match=r"output.boxes is 'boxes'; the graph has the outputs 'output'"):
        fuse_output(passing(EXAMPLES["yolov5"].outputs), EXAMPLES["ssd"].bound())


@pytest.mark.parametrize("taken", ["embedding", FINITE])
def test_a_models_own_output_may_be_called_as_one_of_the_decoders(taken: str) -> None:
    tokens = np.random.default_rng(5).normal(size=(2, 3, 4)).astype(np.float32)
    decoder = decoder_of("embedding", {"decoder": "vector", "pooling": "mean"})

    found = run(fuse_output(passing({taken: tokens}), decoder), {taken: tokens})

    assert_equal("embedding", found, in_numpy(decoder, {taken: tokens}))


def test_what_was_called_as_an_output_of_the_decoder_is_still_found_by_a_branch_of_the_graph() -> None:
    tokens = np.ones((2, 3, 4), np.float32)
    model = passing({"out": tokens})
    model.graph.node[0].output[0] = "embedding"
    both = [
        helper.make_graph([helper.make_node("Identity", ["embedding"], [name])], name, [], [branch_output(name)])
        for name in ("then", "else")
    ]
    always = helper.make_tensor("always", onnx.TensorProto.BOOL, [], [True])
    model.graph.initializer.append(always)
    model.graph.node.append(helper.make_node("If", ["always"], ["out"], then_branch=both[0], else_branch=both[1]))
    decoder = decoder_of("embedding", {"decoder": "vector", "pooling": "mean"})

    fused = fuse_output(model, decoder)

    onnx.checker.check_model(fused, full_check=True)
    assert_equal("embedding", run(fused, {"out": tokens}), in_numpy(decoder, {"out": tokens}))


def branch_output(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 3, 4])


def test_an_input_that_is_called_as_an_output_of_the_decoder_is_left_alone() -> None:
    model = passing({"out": np.ones((2, 3, 4), np.float32)})
    model.graph.input[0].name = model.graph.node[0].input[0] = "embedding"

    with pytest.raises(NotCompilable, match="the graph has an input that is called 'embedding'"):
        fuse_output(model, decoder_of("embedding", {"decoder": "vector", "pooling": "mean"}))


def emptied(example: Example) -> dict[str, Array]:
    """The outputs of a picture in which nothing was found."""
    kept = ("scores", "boxes") if example.decoder == "onnx_nms" else ()
    axis = next((1 for array in example.outputs.values() if array.dtype == np.int32), 0)
    return {name: array if name in kept else array.take([], axis=axis) for name, array in example.outputs.items()}


@pytest.mark.parametrize("name", [name for name in EXAMPLES if EXAMPLES[name].decoder in RAGGED])
@pytest.mark.parametrize("opset", [11, 17, 21])
def test_a_picture_in_which_nothing_was_found_gives_rows_that_only_fill_up(name: str, opset: int) -> None:
    outputs = emptied(EXAMPLES[name])
    decoder = EXAMPLES[name].bound(candidates=5)
    free = {output: tuple(range(array.ndim - 1)) for output, array in outputs.items() if 0 in array.shape}
    found = run(fuse_output(passing(outputs, opset=opset, free=free), decoder), outputs)
    assert found[FINITE].all()
    assert (found[SCORES] == -1).all()
    assert found[SCORES].shape == found[CLASSES].shape == (1, 5)
    assert_equal(name, found, in_numpy(decoder, outputs))


def readers(example: Example, outputs: Mapping[str, Array]) -> list[tuple[OutputReader, InferResponse]]:
    """A reader of the graph's own outputs, and one of those that were read in the graph, each with its answer."""
    decoder = example.bound()
    given = [dict(outputs), run(fuse_output(passing(outputs), decoder), outputs)]
    found = []
    for arrays in given:
        specs = tuple(TensorSpec(name, datatype_of(array.dtype), array.shape) for name, array in arrays.items())
        reader = OutputReader.of(ModelMetadata("m", ("1",), "", (), specs), decoder)
        found.append((reader, InferResponse("m", "1", tuple(Tensor(*pair) for pair in arrays.items()))))
    assert [reader.reduced for reader, _ in found] == [False, True]
    return found


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "output"),
    [(name, output) for name, each in EXAMPLES.items() for output, a in each.outputs.items() if a.dtype.kind == "f"],
)
def test_a_number_that_is_none_is_a_fault_that_names_its_output(name: str, output: str, wrong: float) -> None:
    outputs = {other: array.copy() for other, array in EXAMPLES[name].outputs.items()}
    outputs[output].flat[-1] = wrong
    for reader, response in readers(EXAMPLES[name], outputs):
        rows = 1 if EXAMPLES[name].decoder in RAGGED else ROWS
        # The contract need not name a graph's only output, and then only the graph itself knows what it is called.
        named = "only output" if reader.reduced and len(outputs) == 1 else f"output {output!r}"
        with pytest.raises(PredictorFault, match=f"the model's {named} holds values that are not finite numbers"):
            reader.read(response, rows)
