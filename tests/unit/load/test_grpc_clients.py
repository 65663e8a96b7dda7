from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest_asyncio

from load.grpc import GrpcClients
from load.plan import Server


@dataclass
class Echo:
    """A server that echoes messages, and refuses that which says so."""

    port: int = 0
    metadata: list[dict[str, Any]] = field(default_factory=list)

    async def infer(self, raw: bytes, context: Any) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        if raw == b"refuse":
            context.set_trailing_metadata((("retry-after", "2"),))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED: the queue is full")
        return raw


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = grpc.aio.server()
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(echo.infer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    echo.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield echo
    await server.stop(0)


async def test_messages_go_and_come_as_they_are(echo: Echo) -> None:
    clients = GrpcClients(Server(protocol="grpc", port=echo.port, metadata=(("x-tenant", "me"),)))
    answer = await clients.connect().exchange(b"x" * 5000)
    await clients.close()

    assert (answer.is_ok, answer.kind, answer.length) == (True, "OK", 5000)
    assert echo.metadata[0]["x-tenant"] == "me"


async def test_a_refusal_is_told_with_its_status_and_code(echo: Echo) -> None:
    clients = GrpcClients(Server(protocol="grpc", port=echo.port))
    answer = await clients.connect().exchange(b"refuse")
    await clients.close()

    assert (answer.is_ok, answer.kind) == (False, "RESOURCE_EXHAUSTED OVERLOADED")
    assert answer.said == "OVERLOADED: the queue is full"
    assert answer.retry_after_s == 2.0


async def test_where_nobody_listens_the_server_is_unavailable(echo: Echo) -> None:
    clients = GrpcClients(Server(protocol="grpc", port=1))
    answer = await clients.connect().exchange(b"x")
    await clients.close()

    assert answer.kind.startswith("UNAVAILABLE")
    assert not echo.metadata
