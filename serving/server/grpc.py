"""The gRPC door: grpc.aio with our servicer, and the one place where errors become statuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from serving.call import Call
from serving.errors import RepositoryClosed, ServingError
from serving.metrics import Metrics
from serving.sdk import InferenceServicer, pb, pb_grpc
from serving.server.dataplane import VisionDataPlane
from serving.server.observe import Observer, report_unforeseen
from serving.server.rest import PortTaken
from serving.server.routes import REPOSITORY_CLOSED
from serving.settings import ServerSettings
from serving.v2 import grpc as codec

PROTOCOL = "v2-grpc"

Context = Any
"""A `grpc.aio.ServicerContext`; grpcio ships no types."""


class VisionServicer(InferenceServicer):  # type: ignore[misc]  # the SDK is untyped
    """The protocol's methods, with our codec and our errors.

    The SDK's interceptor reads an attribute that half of its errors lack, so that clients see UNKNOWN where they should
    see UNAVAILABLE and retry.
    """

    def __init__(self, dataplane: VisionDataPlane, metrics: Metrics, settings: ServerSettings) -> None:
        super().__init__(dataplane, None)
        self._dataplane = dataplane
        self._observer = Observer(metrics)
        self._timeout_s = settings.infer_timeout_seconds

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: ARG002, N802
        """Whether every model is ready and the server is not draining."""
        return pb.ServerReadyResponse(ready=await self._dataplane.ready())

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802
        """Whether a model is ready; NOT_FOUND where there is none."""
        async with _answering(context) as _:
            self._dataplane.find(request.name)
            try:
                await self._dataplane.check_model_ready(request.name, request.version or None)
            except ServingError as error:
                if error.grpc_status is grpc.StatusCode.NOT_FOUND:
                    raise
                return pb.ModelReadyResponse(ready=False)
            return pb.ModelReadyResponse(ready=True)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:  # noqa: N802
        """What a model takes and gives."""
        async with _answering(context) as _:
            model = self._dataplane.servable(request.name, request.version or None)
            return codec.encode_metadata(model.metadata())

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        """Run a model."""
        async with _answering(context) as call:
            with self._observer.request(call):
                call.model_name = request.model_name
                call.limit(self._timeout_s)
                remaining = context.time_remaining()
                if remaining is not None:
                    call.limit(remaining)
                model = self._dataplane.servable(request.model_name, request.model_version or None)
                infer_request = codec.decode_request(request)
                return codec.encode_response(await model.infer(infer_request, call), infer_request)

    async def RepositoryModelLoad(self, request: Any, context: Context) -> pb.RepositoryModelLoadResponse:  # noqa: N802
        """Refuse to load a model."""
        await self._refuse(request, context)

    async def RepositoryModelUnload(self, request: Any, context: Context) -> pb.RepositoryModelUnloadResponse:  # noqa: N802
        """Refuse to unload a model."""
        await self._refuse(request, context)

    async def _refuse(self, request: Any, context: Context) -> None:
        async with _answering(context) as _:
            self._dataplane.find(request.model_name)
            raise RepositoryClosed(REPOSITORY_CLOSED)


class GrpcDoor:
    """A gRPC server on its own port."""

    def __init__(self, servicer: VisionServicer, settings: ServerSettings) -> None:
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.grpc_max_receive_message_length),
                ("grpc.max_send_message_length", settings.grpc_max_send_message_length),
                # Two servers on one port would share its traffic in silence.
                ("grpc.so_reuseport", 0),
                # Let clients keep their connections alive through idle proxies and load balancers.
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.http2.max_ping_strikes", 0),
            ]
        )
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        self._address = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._wanted_port = settings.grpc_port
        self.port: int | None = None

    async def open(self) -> None:
        """Take requests from now on.

        Raises:
            PortTaken: it cannot listen.
        """
        try:
            self.port = self._server.add_insecure_port(f"{self._address}:{self._wanted_port}")
        except RuntimeError as error:
            await self._server.stop(None)
            raise PortTaken(f"gRPC cannot listen on {self._address}:{self._wanted_port}: is the port taken?") from error
        await self._server.start()

    async def close(self, grace_s: float) -> None:
        """Take no new requests, and wait up to `grace_s` for the open ones."""
        await self._server.stop(grace_s)


@asynccontextmanager
async def _answering(context: Context) -> AsyncIterator[Call]:
    """Make the request's call, put its id on the answer, and turn an error into its status: `CODE: message`, with the
    code alone in the trailing metadata `error-code`.
    """
    call = Call.from_headers(dict(context.invocation_metadata() or ()), PROTOCOL)
    trailing = tuple(call.id_headers.items())
    context.set_trailing_metadata(trailing)
    try:
        yield call
    except ServingError as error:
        await _abort(context, error, trailing)
    except Exception as error:  # noqa: BLE001  # the border: what nobody foresaw must still be an answer
        await _abort(context, report_unforeseen(call, error), trailing)


async def _abort(context: Context, error: ServingError, trailing: tuple[tuple[str, str], ...]) -> None:
    metadata = (*trailing, ("error-code", error.code))
    if error.retry_after_s is not None:
        metadata = (*metadata, ("retry-after-ms", str(int(error.retry_after_s * 1000))))
    await context.abort(error.grpc_status, str(error), metadata)
