"""V2 gRPC's ModelInfer with messages that are encoded already, and answers that are not decoded."""

from __future__ import annotations

import re
from typing import Any, Final

import grpc

from load.answer import MAX_ANSWER_BYTES, SAID_LENGTH, Answer
from load.plan import Server

METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
OPTIONS: Final = (("grpc.max_receive_message_length", MAX_ANSWER_BYTES),)
_CODE: Final = re.compile(r"([A-Z][A-Z0-9_]{2,40}): ")


def open_channel(server: Server) -> grpc.aio.Channel:
    """Return a channel to a server; it connects by itself."""
    if server.tls:
        return grpc.aio.secure_channel(str(server), grpc.ssl_channel_credentials(), options=OPTIONS)
    return grpc.aio.insecure_channel(str(server), options=OPTIONS)


class GrpcClients:
    """Clients of one server that share a connection, as the requests of a transformer do."""

    def __init__(self, server: Server) -> None:
        self._channel = open_channel(server)
        self._metadata = server.metadata or None
        # Without serializers, bytes go out and come in as they are.
        self._infer: Any = self._channel.unary_unary(METHOD)

    def connect(self) -> GrpcClients:
        """Return a client; the connection is made by the first request."""
        return self

    async def exchange(self, request: bytes) -> Answer:
        """Send a message, and return what became of it."""
        try:
            answer = await self._infer(request, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            return _refusal(error)
        return Answer(is_ok=True, kind="OK", length=len(answer))

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def _refusal(error: grpc.aio.AioRpcError) -> Answer:
    said = error.details() or ""
    code = _CODE.match(said)
    after = dict(error.trailing_metadata() or ()).get("retry-after", "")
    return Answer(
        is_ok=False,
        kind=f"{error.code().name} {code[1] if code else ''}".rstrip(),
        said=said[:SAID_LENGTH],
        retry_after_s=float(after) if isinstance(after, str) and after.isdigit() else None,
    )
