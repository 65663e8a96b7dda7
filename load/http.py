"""HTTP/1.1 connections that are kept alive, one request at a time on each."""

from __future__ import annotations

import asyncio
from typing import cast

from load.answer import CONNECTION_CLOSED, NO_CONNECTION, UNREADABLE, Answer
from load.http_answer import AnswerReader, BadAnswer
from load.plan import Server


class _Wire(asyncio.Protocol):
    """One connection, from its opening to its end."""

    def __init__(self) -> None:
        self.is_open = False
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer | None] | None = None

    async def ask(self, request: bytes) -> Answer | None:
        """Send a request; None where the server closed the connection before it said anything."""
        assert self._transport is not None  # noqa: S101  # opened before it is used
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._reader.feed(data)
        except BadAnswer as error:
            self.close()
            answer = Answer(is_ok=False, kind=UNREADABLE, said=str(error))
        if answer is not None:
            if not self._reader.keeps_alive:
                self.close()
            self._give(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        answer = self._reader.end()
        if answer is None and self._reader.has_begun:
            answer = Answer(is_ok=False, kind=CONNECTION_CLOSED, said=f"in the middle of an answer{_told(exc)}")
        self._give(answer)

    def _give(self, answer: Answer | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)


class HttpConnection:
    """A client's connection: opened by its first request, and again after the server closed it."""

    def __init__(self, server: Server, clients: HttpClients) -> None:
        self._server = server
        self._clients = clients
        self._wire: _Wire | None = None

    async def exchange(self, request: bytes) -> Answer:
        """Send a request, and return what became of it."""
        try:
            return await self._exchange(request)
        except asyncio.CancelledError:  # its answer would come to the next request
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, where it is open."""
        if self._wire is not None:
            self._wire.close()

    async def _exchange(self, request: bytes) -> Answer:
        if self._wire is not None and self._wire.is_open:
            answer = await self._wire.ask(request)
            if answer is not None:
                return answer
            # A server may close a connection that was idle; a request that crosses that is sent again.
            self._clients.reconnected += 1
        try:
            self._wire = await self._open()
        except OSError as error:
            return Answer(is_ok=False, kind=NO_CONNECTION, said=str(error))
        answer = await self._wire.ask(request)
        return answer or Answer(is_ok=False, kind=CONNECTION_CLOSED, said="before an answer came")

    async def _open(self) -> _Wire:
        server = self._server
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(_Wire, server.host, server.port, ssl=server.tls or None)
        return wire


class HttpClients:
    """The connections to one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connections: list[HttpConnection] = []
        self.reconnected = 0
        """How many requests were sent twice, because the server closed the connection as they came."""

    def connect(self) -> HttpConnection:
        """Return one more connection; it is opened by its first request."""
        connection = HttpConnection(self._server, self)
        self._connections.append(connection)
        return connection

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()


def _told(error: Exception | None) -> str:
    return f": {error}" if error is not None else ""
