"""A predictor on real sockets, REST and gRPC, that does as a test tells it and remembers what it was sent.

Both sides' transformers stand in front of it, so that what differs is theirs.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np

from serving.sdk import pb, pb_grpc
from tests.sdk.model_directory import SIDE
from tests.servers import HOST, MODEL

PROBABILITIES = (0.25, 0.75)
INPUT_SHAPE = (-1, SIDE, SIDE, 3)
HOLD_LIMIT_S = 60.0


@dataclass(frozen=True)
class Seen:
    """One inference request as it came: its headers, or its gRPC metadata."""

    headers: Sequence[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        """Return every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True)
class Refusal:
    """How an inference is refused at both doors."""

    http: HTTPStatus
    grpc: grpc.StatusCode


class ScriptedPredictor:
    """Answers each inference with the same probabilities, unless it is told to refuse or to wait."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.ready = True
        self.refusal: Refusal | None = None
        self._open = threading.Event()
        self._open.set()
        self._arrived = threading.Semaphore(0)
        self._rest = ThreadingHTTPServer((HOST, 0), _RestDoor)
        self._rest.daemon_threads = True
        self._rest.script = self  # type: ignore[attr-defined]  # where a handler finds it
        self._grpc = grpc.server(ThreadPoolExecutor(16))
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(_GrpcDoor(self), self._grpc)
        self.rest_address = f"{HOST}:{self._rest.server_address[1]}"
        self.grpc_address = f"{HOST}:{self._grpc.add_insecure_port(f'{HOST}:0')}"
        threading.Thread(target=self._rest.serve_forever, daemon=True).start()
        self._grpc.start()

    def close(self) -> None:
        """Close both doors."""
        self._open.set()
        self._grpc.stop(None).wait()
        self._rest.shutdown()
        self._rest.server_close()

    def address(self, protocol: str) -> str:
        """Return the door of a protocol, by KServe's name for it."""
        return self.grpc_address if protocol == "grpc-v2" else self.rest_address

    @contextmanager
    def refusing(self, http: HTTPStatus, code: grpc.StatusCode) -> Iterator[None]:
        """Refuse every inference until the block ends."""
        self.refusal = Refusal(http, code)
        try:
            yield
        finally:
            self.refusal = None

    @contextmanager
    def not_ready(self) -> Iterator[None]:
        """Say that the model is not ready until the block ends."""
        self.ready = False
        try:
            yield
        finally:
            self.ready = True

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let every inference wait until the block ends."""
        while self._arrived.acquire(blocking=False):
            pass
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def wait_for_request(self) -> None:
        """Wait until an inference has come."""
        if not self._arrived.acquire(timeout=HOLD_LIMIT_S):
            raise TimeoutError("no inference came to the predictor")

    def meet(self, headers: Sequence[tuple[str, str]]) -> Refusal | None:
        """Note a request, wait if told to, and return how it is refused, if it is."""
        self.seen.append(Seen(headers))
        self._arrived.release()
        self._open.wait(HOLD_LIMIT_S)
        return self.refusal


class _GrpcDoor(pb_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, untyped
    def __init__(self, script: ScriptedPredictor) -> None:
        self._script = script

    def ModelReady(self, request: Any, context: Any) -> pb.ModelReadyResponse:  # noqa: ARG002, N802
        return pb.ModelReadyResponse(ready=self._script.ready)

    def ModelMetadata(self, request: Any, context: Any) -> pb.ModelMetadataResponse:  # noqa: ARG002, N802
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=MODEL, inputs=[tensor(name="pixels", datatype="UINT8", shape=INPUT_SHAPE)], outputs=[]
        )

    def ModelInfer(self, request: Any, context: Any) -> pb.ModelInferResponse:  # noqa: N802
        refusal = self._script.meet([(key, str(value)) for key, value in context.invocation_metadata()])
        if refusal is not None:
            context.abort(refusal.grpc, "as the test wants it")
        rows = request.inputs[0].shape[0]
        response = pb.ModelInferResponse(model_name=MODEL, id=request.id)
        response.outputs.add(name="y", datatype="FP32", shape=[rows, len(PROBABILITIES)])
        response.raw_output_contents.append(np.array([PROBABILITIES] * rows, dtype=np.float32).tobytes())
        return response


class _RestDoor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def script(self) -> ScriptedPredictor:
        script: ScriptedPredictor = self.server.script  # type: ignore[attr-defined]  # set by ScriptedPredictor
        return script

    def do_GET(self) -> None:
        if self.path.endswith("/ready"):
            self._answer(HTTPStatus.OK if self.script.ready else HTTPStatus.SERVICE_UNAVAILABLE, {})
            return
        inputs = [{"name": "pixels", "datatype": "UINT8", "shape": INPUT_SHAPE}]
        self._answer(HTTPStatus.OK, {"name": MODEL, "platform": "", "inputs": inputs, "outputs": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        refusal = self.script.meet(self.headers.items())
        if refusal is not None:
            self._answer(refusal.http, {"error": "as the test wants it"})
            return
        json_length = int(self.headers.get("inference-header-content-length", len(body)))
        request = json.loads(body[:json_length])
        rows = request["inputs"][0]["shape"][0]
        data = list(PROBABILITIES) * rows
        output = {"name": "y", "datatype": "FP32", "shape": [rows, len(PROBABILITIES)], "data": data}
        named = {"model_name": MODEL, "model_version": "1", "id": request.get("id")}
        self._answer(HTTPStatus.OK, {**named, "outputs": [output]})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def _answer(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)
