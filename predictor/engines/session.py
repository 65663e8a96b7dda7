"""ONNX Runtime's session, as lanes use it: V2's tensors in and out, and errors that say whose fault they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from predictor.engines.device import Device
from predictor.engines.faults import fault_of_run
from predictor.engines.runtime import ort
from serving.errors import InferenceFailed, ModelLoadFailed, TensorInvalid
from serving.log import get_logger
from serving.v2 import DATATYPES, TensorSpec
from serving.v2.message import ANY
from serving.v2.tensor import Array, Tensor

logger = get_logger(__name__)

DATATYPE_NAMES: Final = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
"""V2's names of ONNX Runtime's types."""

RUNTIME_ERRORS: Final = (
    *(
        getattr(ort.capi.onnxruntime_pybind11_state, name)
        for name in (
            "EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "ModelLoaded",
            "NoModel", "NoSuchFile", "NotImplemented", "RuntimeException",
        )
    ),
    RuntimeError,  # of runs with an IO binding, and of providers whose libraries are missing
)  # fmt: skip
"""What ONNX Runtime raises; its module of exceptions is not public."""

_ARENAS: Final = {Device.CPU: "cpu:0", Device.CUDA: "gpu:0", Device.TENSORRT: "gpu:0"}


class Session:
    """A session on a device. Several threads may run it at once, unless it records CUDA graphs."""

    def __init__(self, session: ort.InferenceSession, device: Device) -> None:
        self._session = session
        self._device = device
        self._has_arena = device is not Device.CPU or session.get_session_options().enable_cpu_mem_arena
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())
        self._fixed = frozenset(_with_shapes_of_their_own(session))

    def run(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], options: ort.RunOptions | None = None
    ) -> tuple[Tensor, ...]:
        """Run the model once, with arrays of this process' memory, which ONNX Runtime reads where they lie.

        Raises:
            InferenceFailed, DeviceOutOfMemory, DeviceLost: as `Lane.run`.
        """
        feed = {tensor.name: _ort_array(tensor) for tensor in inputs}
        with self.faults():
            arrays = self._session.run(list(outputs), feed, options)
        return tuple(Tensor(name, array) for name, array in zip(outputs, arrays, strict=True))

    def run_bound(self, binding: ort.IOBinding, options: ort.RunOptions | None) -> None:
        """Run the model once, with the memory of a binding."""
        self._session.run_with_iobinding(binding, options)

    def io_binding(self) -> ort.IOBinding:
        """Return a binding without memory."""
        return self._session.io_binding()

    def has_fixed_shapes(self, outputs: Sequence[str]) -> bool:
        """Whether the shapes of these outputs follow from the number of rows."""
        return self._fixed.issuperset(outputs)

    def shrink(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
        """Run the model once, and give back the memory that such a run does not need, where it is kept for runs."""
        if not self._has_arena or self._device not in _ARENAS:
            return
        options = ort.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", _ARENAS[self._device])
        try:
            self.run(inputs, outputs, options)
        except InferenceFailed as error:  # the memory is another provider's, say: it stays as it is
            logger.debug("memory not given back", reason=error.message)

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Raise ONNX Runtime's errors as what they mean."""
        try:
            yield
        except RUNTIME_ERRORS as error:
            raise fault_of_run("ONNX Runtime", str(error)) from error


def _with_shapes_of_their_own(session: ort.InferenceSession) -> Iterator[str]:
    """Yield the outputs whose axes are numbers, but for a first one that is an input's."""
    rows = {value.shape[0] for value in session.get_inputs() if value.shape}
    for value in session.get_outputs():
        first, *others = value.shape or [None]
        if all(isinstance(size, int) for size in others) and (isinstance(first, int) or (first and first in rows)):
            yield value.name


def _spec(value: ort.NodeArg) -> TensorSpec:
    datatype = DATATYPE_NAMES.get(value.type)
    if datatype is None:
        raise ModelLoadFailed(f"the graph's {value.name!r} is a {value.type}, which V2 has no datatype for")
    shape = tuple(dimension if isinstance(dimension, int) else ANY for dimension in value.shape)
    return TensorSpec(value.name, datatype, shape)


def dtype_of_value(value: ort.OrtValue) -> np.dtype[Any]:
    """Return NumPy's type of what is in a device's memory."""
    return DATATYPES[DATATYPE_NAMES[value.data_type()]]


def _ort_array(tensor: Tensor) -> Array | list[Any]:
    """Strings must be `str` for ONNX Runtime; every other array goes in as it is."""
    if tensor.datatype != "BYTES":
        return tensor.array
    texts = tensor.array.copy()
    for index, element in enumerate(texts.flat):
        try:
            texts.flat[index] = element.decode() if isinstance(element, bytes) else element
        except UnicodeDecodeError as error:
            raise TensorInvalid(f"element {index} of input {tensor.name!r} is no UTF-8 text") from error
    return texts
