"""OpenVINO's own runtime, which reads ONNX and runs it on a CPU, in the precision that was asked for and no other.

What it makes of a graph beside that: numbers of 64 bits, and UINT32, are computed with 32 bits and a sign.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError, EncodeError

from predictor.engines.base import Engine, Lane
from predictor.engines.device import Device
from predictor.engines.faults import fault_of_run
from predictor.engines.storing import StoredGraph
from predictor.graph.reading import opset_of
from serving.contract import Precision
from serving.errors import ModelLoadFailed
from serving.log import get_logger
from serving.v2 import TensorSpec
from serving.v2.message import ANY
from serving.v2.tensor import Array, Tensor

# OpenVINO's converter, which nothing here needs, sends a message to its makers when it is imported, and starts a thread
# for that. Neither module is there for OpenVINO's own `import` statements, which go on without them.
_unwanted = {"openvino_telemetry", "openvino.tools.ovc"} - sys.modules.keys()
sys.modules.update(dict.fromkeys(_unwanted))  # type: ignore[arg-type]  # None is documented to stop an import
try:
    import openvino as ov
    from openvino import opset8 as operators
finally:
    for _name in _unwanted:
        del sys.modules[_name]

# The first array that it sees makes OpenVINO ask NumPy for its types; of two threads that let it do so at the same
# moment, each waits for the other for ever. An import is made by one.
_ = ov.Tensor(np.zeros(1, np.uint8), ov.Shape([1]), ov.Type.u8).data

logger = get_logger(__name__)

HINT: Final = "; engine: onnxruntime (or ENGINE=onnxruntime) runs what OpenVINO does not read"

DATATYPE_NAMES: Final = {
    "boolean": "BOOL",
    "u8": "UINT8",
    "u16": "UINT16",
    "u32": "UINT32",
    "u64": "UINT64",
    "i8": "INT8",
    "i16": "INT16",
    "i32": "INT32",
    "i64": "INT64",
    "f16": "FP16",
    "f32": "FP32",
    "f64": "FP64",
}
"""V2's names of OpenVINO's types; it has strings too, whose tensors it frees twice."""

MISREAD: Final = frozenset({"ReduceL1", "ReduceLogSum", "ReduceLogSumExp"})
MISREAD_OPSETS: Final = range(13, 18)
"""Before opset 18 these have their axes in an attribute. OpenVINO looks for them among the inputs from 13 on, and where
there are none, it reduces them all."""

_PRECISIONS: Final = {Precision.FP32: ov.Type.f32, Precision.BF16: ov.Type.bf16, Precision.FP16: ov.Type.f16}


@dataclass(frozen=True, slots=True)
class OpenVinoOptions:
    """The precision that FP32 is computed in, how many runs are made side by side, and the threads of each."""

    precision: Precision
    lanes: int
    threads: int

    def config(self) -> dict[str, Any]:
        """Return what OpenVINO's CPU plugin is told."""
        return {
            # Left to itself, it takes BF16 or FP16 wherever the CPU has instructions for them.
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.precision],
            # Nor may it round activations to INT8, as it does behind weights that are compressed.
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
            "NUM_STREAMS": self.lanes,
            "INFERENCE_NUM_THREADS": self.lanes * self.threads,
            # A container's quota names no CPUs, and two pods that pin themselves would choose the same.
            "ENABLE_CPU_PINNING": False,
            "ENABLE_HYPER_THREADING": True,
            # Kernels for shapes that were met: 150 nodes at six sizes of batch are 900. Where every picture has another
            # shape, the 5000 that OpenVINO would keep take half a gigabyte.
            "CPU_RUNTIME_CACHE_CAPACITY": 1000,
        }


class OpenVino(Engine):
    """A compiled model. Its lanes share it and its weights, each with a stream of its own."""

    device = Device.CPU
    platform = "openvino_onnx"

    def __init__(self, compiled: ov.CompiledModel, graph: onnx.GraphProto) -> None:
        """Look at what a compiled model takes and gives, under the names of the ONNX graph that it was made of.

        Raises:
            ModelLoadFailed: a tensor is of a type that V2 has no datatype for, or that OpenVINO cannot hand over.
        """
        self._compiled = compiled
        weights = {tensor.name for tensor in graph.initializer}
        inputs = [value.name for value in graph.input if value.name not in weights]
        self._inputs = _positions(compiled.inputs, inputs)
        self._outputs = _positions(compiled.outputs, [value.name for value in graph.output])
        self.inputs = tuple(_spec(name, compiled.inputs[place]) for name, place in self._inputs.items())
        self.outputs = tuple(_spec(name, compiled.outputs[place]) for name, place in self._outputs.items())

    def open_lane(self) -> OpenVinoLane:
        """Return one more lane."""
        return OpenVinoLane(self._compiled.create_infer_request(), self._inputs, self._outputs)


class OpenVinoLane(Lane):
    """A request of OpenVINO's, which reads arrays where they lie; it writes into memory of its own, which it writes
    into again with the next run.
    """

    def __init__(self, request: ov.InferRequest, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        super().__init__()
        self._request = request
        self._inputs = inputs
        self._outputs = outputs

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        """Run the model once."""
        # The request does not hold the arrays: they live as long as `given`.
        given = [_contiguous(tensor.array) for tensor in inputs]
        try:
            for tensor, array in zip(inputs, given, strict=True):
                self._request.set_input_tensor(self._inputs[tensor.name], _shared(array))
            self._request.infer(share_outputs=True)
            return tuple(Tensor(name, self._output(name)) for name in outputs)
        except RuntimeError as error:
            raise fault_of_run("OpenVINO", _words(error)) from error

    def _output(self, name: str) -> Array:
        return np.array(self._request.get_output_tensor(self._outputs[name]).data)


def open_model(graph: StoredGraph, options: OpenVinoOptions) -> OpenVino:
    """Compile a graph for the CPU.

    Raises:
        ModelLoadFailed: OpenVINO cannot read it, or this CPU does not compute in the precision.
    """
    core = ov.Core()
    _check_precision(options.precision)
    structure = _structure(graph)
    _check_reductions(structure)
    try:
        model = core.read_model(graph.source if isinstance(graph.source, str) else _whole(structure, graph.path))
        _keep_slices(model)
        compiled = core.compile_model(model, "CPU", options.config())
    except RuntimeError as error:
        raise ModelLoadFailed(f"OpenVINO cannot load {graph.path}: {_words(error)}{HINT}") from error
    logger.info(
        "openvino",
        version=ov.get_version(),
        precision=compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(),
        streams=compiled.get_property("NUM_STREAMS"),
        threads=compiled.get_property("INFERENCE_NUM_THREADS"),
    )
    return OpenVino(compiled, structure.graph)


def _check_reductions(model: onnx.ModelProto) -> None:
    """Refuse what OpenVINO reads as something else, and would answer wrongly with no word of it."""
    opset = opset_of(model)
    misread = {node.op_type for node in _nodes(model.graph) if any(each.name == "axes" for each in node.attribute)}
    misread &= MISREAD
    if opset in MISREAD_OPSETS and misread:
        raise ModelLoadFailed(
            f"OpenVINO misreads the axes of {', '.join(sorted(misread))} in opset {opset}: export with opset 18{HINT}"
        )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and of those inside its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _keep_slices(model: ov.Model) -> None:
    """Let a slice that GatherElements reads be rolled by nothing: OpenVINO drops those slices that begin at 0, of other
    axes than the one that is gathered too, and then finds that the shapes do not fit.
    """
    nothing = operators.constant(np.zeros(1, np.int64))
    for node in model.get_ops():
        if node.get_type_name() == "GatherElements":
            read = node.input_value(0)
            if read.get_node().get_type_name() == "Slice":
                node.input(0).replace_source_output(operators.roll(read, nothing, nothing).output(0))


def precisions() -> tuple[Precision, ...]:
    """Return those that OpenVINO has instructions for on this CPU."""
    capabilities = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(precision for precision in Precision if precision.name in capabilities)


def _check_precision(precision: Precision) -> None:
    there = precisions()
    if precision not in there:
        raise ModelLoadFailed(
            f"precision: {precision} is not computed by this CPU, where OpenVINO has {' and '.join(there)}: "
            "set precision: fp32 (or PRECISION=fp32), or let the pod run on nodes that have it"
        )


def _structure(graph: StoredGraph) -> onnx.ModelProto:
    """Return the graph without its weights, but for those that it holds itself."""
    if isinstance(graph.source, bytes):
        return onnx.load_from_string(graph.source)
    return onnx.load(graph.source, load_external_data=False)


def _whole(model: onnx.ModelProto, path: Path) -> bytes:
    """Return a graph with the weights in it that lie beside `path`: OpenVINO looks for them beside files alone.

    Raises:
        ModelLoadFailed: they are missing or cut off, or are more than the 2 GiB that a message can hold.
    """
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
        whole: bytes = model.SerializeToString()
    except (onnx.checker.ValidationError, OSError, ValueError, DecodeError, EncodeError) as error:
        raise ModelLoadFailed(f"the weights beside {path} cannot be read: {error}") from error
    return whole


def _positions(ports: Sequence[ov.ConstOutput], names: Sequence[str]) -> dict[str, int]:
    """Return where each name stands among OpenVINO's ports, whose order is its own."""
    places = {name: place for place, port in enumerate(ports) for name in port.get_names()}
    missing = [name for name in names if name not in places]
    if missing:
        raise ModelLoadFailed(f"OpenVINO dropped {', '.join(map(repr, missing))} from the graph{HINT}")
    return {name: places[name] for name in names}


def _spec(name: str, port: ov.ConstOutput) -> TensorSpec:
    kind = port.get_element_type().get_type_name()
    datatype = DATATYPE_NAMES.get(kind)
    if datatype is None:
        raise ModelLoadFailed(f"the graph's {name!r} is of type {kind}, which is not served with OpenVINO{HINT}")
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        raise ModelLoadFailed(f"OpenVINO does not know how many axes the graph's {name!r} has{HINT}")
    return TensorSpec(name, datatype, tuple(ANY if size.is_dynamic else size.get_length() for size in shape))


def _contiguous(array: Array) -> Array:
    return array if array.flags.c_contiguous else array.copy()


def _shared(array: Array) -> ov.Tensor:
    """Return a tensor over an array's memory: without its shape being said, one that is read-only would be refused."""
    return ov.Tensor(array, ov.Shape(array.shape), ov.Type(array.dtype))


def _words(error: RuntimeError) -> str:
    """Return what OpenVINO said, without the places in its source that it passed through."""
    lines = (line.strip() for line in str(error).splitlines())
    return " ".join(line for line in lines if line and not line.startswith(("Exception from", "To facilitate")))
