"""One ONNX Runtime session: what it takes and gives in V2's terms, and its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
import onnxruntime as ort

from predictor.device import PROVIDERS, Device, candidates
from serving.errors import InferenceFailed, ModelLoadFailed, TensorInvalid
from serving.log import get_logger
from serving.v2 import TensorSpec
from serving.v2.message import ANY
from serving.v2.tensor import Array, Tensor

logger = get_logger(__name__)

_DATATYPES: Final = {
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

# What ONNX Runtime raises; its module of exceptions is not public.
_RUNTIME_ERRORS: Final = tuple(
    getattr(ort.capi.onnxruntime_pybind11_state, name)
    for name in (
        "EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "ModelLoaded", "NoModel",
        "NoSuchFile", "NotImplemented", "RuntimeException",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a session is made: the device that is wanted, and the threads of one run."""

    device: Device
    num_threads: int


class Session:
    """A loaded model. `run` may be called from several threads at once."""

    def __init__(self, session: ort.InferenceSession, device: Device) -> None:
        self._session = session
        self.device = device
        self.inputs = tuple(_spec(value) for value in session.get_inputs())
        self.outputs = tuple(_spec(value) for value in session.get_outputs())

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        """Run the model once, and return the named outputs.

        Raises:
            InferenceFailed: the run failed; the message is ONNX Runtime's.
        """
        feed = {tensor.name: _ort_array(tensor) for tensor in inputs}
        try:
            arrays = self._session.run(list(outputs), feed)
        except _RUNTIME_ERRORS as error:
            raise InferenceFailed(f"ONNX Runtime failed on this request: {str(error).strip()}") from error
        return tuple(Tensor(name, array) for name, array in zip(outputs, arrays, strict=True))


def open_session(model: onnx.ModelProto, path: Path, options: SessionOptions) -> Session:
    """Make a session of a graph whose file lies (or would lie) at `path`, on the first device that takes it.

    Raises:
        ModelLoadFailed: no device takes it, or the one that was named does not.
    """
    tried = candidates(options.device, ort.get_available_providers())
    for device in tried:
        try:
            session = _open_on(device, model, path, options)
        except (*_RUNTIME_ERRORS, ValueError) as error:  # a ValueError: names that are no UTF-8
            if device is tried[-1]:
                raise ModelLoadFailed(f"ONNX Runtime cannot load {path}: {str(error).strip()}") from error
            logger.warning("device failed", device=device, error=str(error).strip())
            continue
        # ONNX Runtime goes on without a provider whose libraries are missing.
        if PROVIDERS[device][0] in session.get_providers():
            logger.info("device", device=device, providers=session.get_providers())
            return Session(session, device)
        logger.warning("device failed", device=device, error=f"{PROVIDERS[device][0]} could not be set up")
    raise ModelLoadFailed(f"DEVICE={options.device} could not be set up: ONNX Runtime's own message stands above this")


def _open_on(device: Device, model: onnx.ModelProto, path: Path, options: SessionOptions) -> ort.InferenceSession:
    session_options = ort.SessionOptions()
    session_options.intra_op_num_threads = options.num_threads
    session_options.inter_op_num_threads = 1
    # Threads that spin for the next run cost a quarter of the CPU under load, and a server's threads have other work.
    session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session_options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    session_options.log_severity_level = 3
    if device in (Device.CUDA, Device.TENSORRT):
        ort.preload_dlls()
    return ort.InferenceSession(
        model.SerializeToString(), sess_options=session_options, providers=list(PROVIDERS[device])
    )


def _spec(value: ort.NodeArg) -> TensorSpec:
    datatype = _DATATYPES.get(value.type)
    if datatype is None:
        raise ModelLoadFailed(f"the graph's {value.name!r} is a {value.type}, which V2 has no datatype for")
    shape = tuple(dimension if isinstance(dimension, int) else ANY for dimension in value.shape)
    return TensorSpec(value.name, datatype, shape)


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
