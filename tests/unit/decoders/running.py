"""A decoder's program in both interpreters: NumPy's, and a graph that ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnxruntime as ort
from onnx import helper

from predictor.graph import fuse_output
from serving.decoders import Array, Decoder, NumpyOps, decoder_type

Axes = Sequence[int | str]


def decoder_of(task: str, rules: Mapping[str, Any], size: tuple[int, int] | None = (8, 12), labels: int = 0) -> Any:
    """A decoder bound to rules; `decoder` among them names it."""
    kind = decoder_type(task, rules["decoder"])
    return kind(kind.rules_type.model_validate(rules), size, labels)


def in_numpy(decoder: Decoder[Any], **outputs: Array) -> dict[str, Array]:
    names = decoder.bind({name: array.shape for name, array in outputs.items()})
    return decoder.read(NumpyOps(), {part: outputs[name] for part, name in names.items()})


def in_a_graph(
    decoder: Decoder[Any], opset: int = 13, axes: Mapping[str, Axes] | None = None, **outputs: Array
) -> dict[str, Array]:
    """Run a graph that gives what it gets, with the decoder behind it; `axes` are what it says of its outputs' shapes,
    by default all but the batch.
    """
    known = axes or {name: ["batch", *array.shape[1:]] for name, array in outputs.items()}
    nodes, inputs, ends = [], [], []
    for name, array in outputs.items():
        element = helper.np_dtype_to_tensor_dtype(array.dtype)
        inputs.append(helper.make_tensor_value_info(f"{name}_in", element, known[name]))
        ends.append(helper.make_tensor_value_info(name, element, known[name]))
        nodes.append(helper.make_node("Identity", [f"{name}_in"], [name]))
    graph = helper.make_graph(nodes, "g", inputs, ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    fused = fuse_output(model, decoder)
    onnx.checker.check_model(fused)
    session = ort.InferenceSession(fused.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {f"{n}_in": array for n, array in outputs.items()}), strict=True))
