"""A predictor on the plain KServe SDK, as its documentation has one written: `python -m tests.sdk.plain_server`."""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.errors import ModelNotReady
from kserve.utils.numpy_codec import from_np_dtype
from kserve.utils.utils import generate_uuid
from prometheus_client import Gauge

IN_FLIGHT = Gauge("in_flight_requests", "Requests that were accepted and not answered yet.")


class OnnxModel(Model):  # type: ignore[misc]  # the SDK is untyped
    """An ONNX model that runs on a thread of its own, loaded by `load` and let go by `stop`."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self._path = path
        self._thread = ThreadPoolExecutor(1)
        self._session: Any = None
        self.load()

    def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])
        self.ready = True
        return True

    def stop(self) -> None:
        self.ready = False
        self._session = None

    async def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferResponse:  # noqa: ARG002
        with IN_FLIGHT.track_inprogress():
            outputs = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, payload)
        return InferResponse(
            response_id=payload.id or generate_uuid(),
            model_name=self.name,
            infer_outputs=outputs,
            use_binary_outputs=payload.from_grpc or payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )

    def _run(self, payload: InferRequest) -> list[InferOutput]:
        array = self._session.run(None, {tensor.name: tensor.as_numpy() for tensor in payload.inputs})[0]
        output = InferOutput("y", list(array.shape), from_np_dtype(array.dtype))
        output.set_data_from_numpy(array, binary_data=True)
        return [output]


class UnhealthyModel(OnnxModel):
    """A model that says it should get no requests."""

    async def healthy(self) -> bool:
        return False


class ColdModel(OnnxModel):
    """A model that refuses requests with the SDK's own error for it."""

    async def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferResponse:  # noqa: ARG002
        raise ModelNotReady(self.name)


def main() -> None:
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("--onnx", type=Path, required=True)
    arguments = parser.parse_args()
    name, path = arguments.model_name, arguments.onnx
    ModelServer().start(
        [
            OnnxModel(name, path),
            OnnxModel(f"{name}-spare-rest", path),
            OnnxModel(f"{name}-spare-grpc", path),
            UnhealthyModel(f"{name}-unhealthy", path),
            ColdModel(f"{name}-cold", path),
        ]
    )


if __name__ == "__main__":
    main()
