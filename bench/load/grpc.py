"""V2 gRPC's ModelInfer with messages that are encoded already, and answers that are not decoded."""

from __future__ import annotations

from typing import Any, Final

import grpc

METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
MAX_MESSAGE_BYTES: Final = 64 * 2**20


class GrpcClients:
    """Clients of one server that share a connection, as the requests of a transformer do."""

    def __init__(self, host: str, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(
            f"{host}:{port}", options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
        )
        # Without serializers, bytes go out and come in as they are.
        self._infer: Any = self._channel.unary_unary(METHOD)

    async def connect(self) -> GrpcClients:
        """Return a client; the connection is made by the first request."""
        return self

    async def exchange(self, request: bytes) -> int:
        """Send a message, and return the length of its answer.

        Raises:
            grpc.aio.AioRpcError: the server refused it.
        """
        return len(await self._infer(request))

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()
