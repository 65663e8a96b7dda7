"""The predictor over V2 gRPC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc
import orjson

from serving.call import Call
from serving.errors import (
    PredictorFault,
    PredictorUnavailable,
    RequestInvalid,
    ServingError,
    TensorInvalid,
)
from serving.sdk import pb, pb_grpc
from serving.v2 import InferRequest, InferResponse, ModelMetadata
from serving.v2 import grpc as codec
from transformer.address import SCHEMES, has_port
from transformer.client.base import ready_in_time
from transformer.client.meaning import Refusal, meaning_of
from transformer.settings import TransformerSettings


class GrpcClient:
    """One channel to the predictor's addresses, which take requests in turn."""

    def __init__(self, settings: TransformerSettings) -> None:
        self._timeout_s = settings.predictor_request_timeout_seconds
        self._target = target_of(settings.predictor_host)
        self._channel = _open_channel(self._target, settings)
        self._stub = pb_grpc.GRPCInferenceServiceStub(self._channel)
        # The stub's own method would serialize the message, tensors and all, a second time.
        self._infer = self._channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=codec.serialize_request,
            response_deserializer=pb.ModelInferResponse.FromString,
        )

    async def metadata(self, model: str, call: Call, version: str | None = None) -> ModelMetadata:
        """Return what the model takes and gives."""
        request = pb.ModelMetadataRequest(name=model, version=version or "")
        answer = await self._ask(self._stub.ModelMetadata, request, call)
        return codec.decode_metadata(answer)

    async def check_ready(self, model: str, call: Call, version: str | None = None) -> None:
        """Raise `PredictorUnavailable` unless the model is ready."""
        with ready_in_time(call) as question:
            request = pb.ModelReadyRequest(name=model, version=version or "")
            answer = await self._ask(self._stub.ModelReady, request, question)
            if answer.ready:
                return
            with suppress(PredictorFault):  # of a server that has no metadata
                await self.metadata(model, question, version)  # refused with the reason, where there is one
        raise PredictorUnavailable(f"the predictor at {self._target} is not ready to serve {model!r}", retry_after_s=1)

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the model."""
        answer = await self._ask(self._infer, request, call)
        try:
            return codec.decode_response(answer)
        except (RequestInvalid, TensorInvalid) as error:
            raise PredictorFault(f"the predictor's answer cannot be read: {error.message}") from error

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _ask(self, method: Callable[..., Awaitable[Any]], message: Any, call: Call) -> Any:
        timeout = call.remaining_within(self._timeout_s)
        metadata = (*call.id_headers.items(), *call.traces.items())
        try:
            return await method(message, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from error

    def _translate(self, error: grpc.aio.AioRpcError) -> ServingError:
        trailing = dict(error.trailing_metadata() or ())
        code = trailing.get("error-code")
        refusal = Refusal.over_grpc(
            error.code(), error.details() or error.code().name, None if code is None else str(code)
        )
        return meaning_of(refusal, f"the predictor at {self._target}")


def target_of(host: str) -> str:
    """Return gRPC's name for `host[:port]`, resolved through DNS so that every address behind it is used."""
    if host.startswith(SCHEMES):
        return host
    return f"dns:///{host}" if has_port(host) else f"dns:///{host}:80"


def _open_channel(target: str, settings: TransformerSettings) -> grpc.aio.Channel:
    keepalive_ms = settings.predictor_keepalive_seconds * 1000
    options = [
        ("grpc.max_send_message_length", settings.grpc_max_send_message_length),
        ("grpc.max_receive_message_length", settings.grpc_max_receive_message_length),
        # Only while calls are open, and two at most without data between: a server that was not told to permit more
        # would close the connection.
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", 10_000),
        # gRPC waits up to two minutes before it tries a lost address again; a pod is back in seconds.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.service_config", _service_config(settings.predictor_request_retries)),
        ("grpc.enable_retries", 1),
        # By default a message over 256 KiB, two pictures, would not be kept to be sent again.
        ("grpc.per_rpc_retry_buffer_size", settings.grpc_max_send_message_length),
    ]
    if not settings.predictor_use_ssl:
        return grpc.aio.insecure_channel(target, options=options)
    roots = settings.predictor_ca_file.read_bytes() if settings.predictor_ca_file else None
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(roots), options=options)


def _service_config(retries: int) -> str:
    """Balance over all addresses, and let gRPC send a request again that met nobody."""
    method: dict[str, Any] = {"name": [{"service": "inference.GRPCInferenceService"}]}
    if retries:
        method["retryPolicy"] = {
            "maxAttempts": retries + 1,  # gRPC counts the first one; 2 to 5 are allowed
            "initialBackoff": "0.05s",
            "maxBackoff": "1s",
            "backoffMultiplier": 3,
            # A server that shuts down cancels what it has read of its sockets and not begun.
            "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
        }
    return orjson.dumps({"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [method]}).decode()
