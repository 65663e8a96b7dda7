"""The gRPC door: grpc.aio with our methods of the protocol's service, and the one place where errors become statuses.

The methods are registered with raw bytes: grpc.aio answers UNKNOWN to a message that cannot be parsed, before any code
of ours has run. A refusal is a status that is set, not `context.abort`: its exception would keep the request's bytes in
memory until the garbage collector comes by.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from serving.call import Call
from serving.errors import DeviceLost, RequestInvalid, ServingError
from serving.metrics import Metrics
from serving.sdk import pb
from serving.server.body import Bodies
from serving.server.control import ModelControl
from serving.server.dataplane import VisionDataPlane
from serving.server.observe import Observer, report_unforeseen
from serving.server.rest import PortTaken
from serving.settings import ServerSettings
from serving.v2 import grpc as codec

PROTOCOL: Final = "v2-grpc"

SERVICE: Final = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]

SMALL_BYTES: Final = 4096
"""Up to how many bytes a message is let in however many others there are: questions of health among them."""

AGE_SHARE: Final = 0.8
"""Of the drain's delay: gRPC ends a connection up to a tenth later than it is told."""

Context = Any
"""A `grpc.aio.ServicerContext`; grpcio ships no types."""

Method = Callable[[Any, Call], Awaitable[Any]]


class InferenceService:
    """The protocol's methods, each from its message and its call to its answer; a `ServingError` is a refusal."""

    def __init__(self, dataplane: VisionDataPlane, metrics: Metrics, settings: ServerSettings) -> None:
        self._dataplane = dataplane
        self._observer = Observer(metrics)
        self._control = ModelControl(dataplane.repository, settings)
        self._timeout_s = settings.infer_timeout_seconds

    def method(self, name: str) -> Method:
        """Return the method of that name, as the protocol spells it."""
        methods: dict[str, Method] = {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ServerMetadata": self.server_metadata,
            "ModelReady": self.model_ready,
            "ModelMetadata": self.model_metadata,
            "ModelInfer": self.model_infer,
            "RepositoryModelLoad": self.load,
            "RepositoryModelUnload": self.unload,
        }
        return methods[name]

    async def server_live(self, _: pb.ServerLiveRequest, __: Call) -> pb.ServerLiveResponse:
        """Whether this process can serve: not any more once its device is lost."""
        try:
            self._dataplane.check_live()
        except DeviceLost:
            return pb.ServerLiveResponse(live=False)
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: pb.ServerReadyRequest, __: Call) -> pb.ServerReadyResponse:
        """Whether this server should get traffic."""
        return pb.ServerReadyResponse(ready=await self._dataplane.ready())

    async def server_metadata(self, _: pb.ServerMetadataRequest, __: Call) -> pb.ServerMetadataResponse:
        """The server's name, version and protocol extensions."""
        return pb.ServerMetadataResponse(**self._dataplane.metadata())

    async def model_ready(self, request: pb.ModelReadyRequest, _: Call) -> pb.ModelReadyResponse:
        """Whether a model is ready; NOT_FOUND where there is none."""
        try:
            await self._dataplane.check_model_ready(request.name, request.version or None)
        except ServingError as error:
            if error.grpc_status is grpc.StatusCode.NOT_FOUND:
                raise
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def model_metadata(self, request: pb.ModelMetadataRequest, _: Call) -> pb.ModelMetadataResponse:
        """What a model takes and gives."""
        model = self._dataplane.find(request.name)
        return codec.encode_metadata(model.metadata(request.version or None))

    async def model_infer(self, request: pb.ModelInferRequest, call: Call) -> bytes:
        """Run a model; the answer is serialized already."""
        with self._observer.request(call):
            call.limit(self._timeout_s)
            with self._dataplane.borrowed(call, request.model_name, request.model_version or None) as served:
                infer_request = codec.decode_request(request)
                return codec.serialize_response(await served.infer(infer_request, call), infer_request)

    async def load(self, request: pb.RepositoryModelLoadRequest, call: Call) -> pb.RepositoryModelLoadResponse:
        """Serve a model as it lies on the disk now."""
        await self._control.load(request.model_name, call)
        return pb.RepositoryModelLoadResponse(model_name=request.model_name, isLoaded=True)

    async def unload(self, request: pb.RepositoryModelUnloadRequest, _: Call) -> pb.RepositoryModelUnloadResponse:
        """Serve a model no longer."""
        await self._control.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse(model_name=request.model_name, isUnloaded=True)


class GrpcDoor:
    """A gRPC server on its own port."""

    def __init__(self, service: InferenceService, bodies: Bodies, settings: ServerSettings) -> None:
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
                *_ages(settings),
            ]
        )
        handlers = {method.name: _handler(method, service.method(method.name), bodies) for method in SERVICE.methods}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
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
            raise PortTaken(
                f"gRPC cannot listen on {self._address}:{self._wanted_port}; GRPC_PORT chooses another port"
            ) from error
        await self._server.start()

    async def close(self, grace_s: float) -> None:
        """Take no new requests, and wait up to `grace_s` for the open ones."""
        await self._server.stop(grace_s)


def _ages(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return the options by which a connection comes to its end before the server does.

    A server that stops cancels calls that cross with the end of their connection. A connection that is old ends in
    order: no call is lost, and the client's next connection leads elsewhere, since by then nobody is led here. So each
    ends within the drain's delay. It also spreads clients over replicas that came later.
    """
    if not settings.drain_delay_seconds:
        return []
    age_s = settings.drain_delay_seconds * AGE_SHARE
    return [
        ("grpc.max_connection_age_ms", int(age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", int((settings.infer_timeout_seconds + age_s) * 1000)),
    ]


def _handler(described: Any, method: Method, bodies: Bodies) -> Any:
    """Return gRPC's handler of a method, from the bytes of its message to the bytes of its answer."""
    request_type = getattr(pb, described.input_type.name)

    async def answer(data: bytes, context: Context) -> bytes:
        call = Call.from_headers(dict(context.invocation_metadata() or ()), PROTOCOL)
        context.set_trailing_metadata(tuple(call.id_headers.items()))
        remaining = context.time_remaining()
        if remaining is not None:
            call.limit(remaining)
        try:
            if len(data) > SMALL_BYTES:
                bodies.hold(call, len(data))
            message = await method(request_type.FromString(data), call)
        except DecodeError as error:
            refusal: ServingError = RequestInvalid(f"the message is no {described.input_type.name}: {error}")
        except ServingError as error:
            refusal = error
        except Exception as error:  # noqa: BLE001  # the border: what nobody foresaw must still be an answer
            refusal = report_unforeseen(call, error)
        else:
            encoded: bytes = message if isinstance(message, bytes) else message.SerializeToString()
            return encoded
        finally:
            bodies.release(call)
        _refuse(context, call, refusal)
        del refusal  # it holds this frame, and the frame would hold it: a circle around the request's bytes
        return b""

    return grpc.unary_unary_rpc_method_handler(answer)


def _refuse(context: Context, call: Call, refusal: ServingError) -> None:
    """Set an error's status, `CODE: message`; the code alone stands in the trailing metadata `error-code`."""
    trailing = [*call.id_headers.items(), ("error-code", refusal.code)]
    if refusal.retry_after_s is not None:
        trailing.append(("retry-after-ms", str(int(refusal.retry_after_s * 1000))))
    context.set_trailing_metadata(tuple(trailing))
    context.set_code(refusal.grpc_status)
    context.set_details(str(refusal))
