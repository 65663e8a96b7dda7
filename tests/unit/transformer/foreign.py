"""Somebody else's V2 server over gRPC, on a real socket: what it answers is up to the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from serving.sdk import pb, pb_grpc

HOST = "127.0.0.1"
PATIENCE_S = 20.0
CLASSES = 1000

Answer = Callable[[pb.ModelInferRequest, Any], pb.ModelInferResponse]


def response(
    array: NDArray[Any], name: str = "logits", datatype: str = "FP32", **parameters: str
) -> pb.ModelInferResponse:
    """An answer of one raw tensor, with string parameters."""
    message = pb.ModelInferResponse(model_name="m", model_version="1", raw_output_contents=[array.tobytes()])
    message.outputs.add(name=name, datatype=datatype, shape=array.shape)
    for key, value in parameters.items():
        message.parameters[key].string_param = value
    return message


def zeros(request: pb.ModelInferRequest, _: Any) -> pb.ModelInferResponse:
    """What a healthy classifier might answer: one row of zeros for each picture."""
    return response(np.zeros((request.inputs[0].shape[0], CLASSES), dtype=np.float32))


def refusal(status: grpc.StatusCode, details: str = "no", *trailing: tuple[str, str]) -> Answer:
    """An answer that is a status."""

    def answer(_: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        context.set_trailing_metadata(trailing)
        context.abort(status, details)
        raise AssertionError("abort raises")

    return answer


def never(request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
    """An answer that does not come while the caller waits."""
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(PATIENCE_S)
    return zeros(request, context)


@dataclass
class ForeignPredictor:
    """A V2 gRPC server of pixels, UINT8 [n, 224, 224, 3], with answers that can be changed while it serves."""

    answer: Answer = zeros
    ready: bool = True
    datatype: str = "UINT8"
    shape: tuple[int, ...] = (-1, 224, 224, 3)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Each call's method, and its metadata."""
    port: int = 0

    @property
    def target(self) -> str:
        return f"{HOST}:{self.port}"

    def asked(self, method: str = "ModelInfer") -> list[dict[str, str]]:
        """The metadata of the calls of one method."""
        return [metadata for name, metadata in self.calls if name == method]


@contextmanager
def foreign_predictor(predictor: ForeignPredictor | None = None) -> Iterator[ForeignPredictor]:
    """Serve on a free port until the block ends."""
    served = predictor or ForeignPredictor()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(_Servicer(served), server)
    served.port = server.add_insecure_port(served.target)
    server.start()
    try:
        yield served
    finally:
        server.stop(None).wait(PATIENCE_S)


class _Servicer(pb_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated without types
    def __init__(self, predictor: ForeignPredictor) -> None:
        self._predictor = predictor

    def ModelReady(self, _: Any, context: Any) -> pb.ModelReadyResponse:  # noqa: N802
        self._note("ModelReady", context)
        return pb.ModelReadyResponse(ready=self._predictor.ready)

    def ModelMetadata(self, request: Any, context: Any) -> pb.ModelMetadataResponse:  # noqa: N802
        self._note("ModelMetadata", context)
        tensor = pb.ModelMetadataResponse.TensorMetadata
        served = self._predictor
        return pb.ModelMetadataResponse(
            name=request.name,
            platform="another",
            inputs=[tensor(name="images", datatype=served.datatype, shape=served.shape)],
            outputs=[tensor(name="logits", datatype="FP32", shape=[-1, CLASSES])],
        )

    def ModelInfer(self, request: Any, context: Any) -> pb.ModelInferResponse:  # noqa: N802
        self._note("ModelInfer", context)
        return self._predictor.answer(request, context)

    def _note(self, method: str, context: Any) -> None:
        self._predictor.calls.append((method, dict(context.invocation_metadata())))
