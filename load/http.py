"""HTTP/1.1 connections that are kept alive, one request at a time on each."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from load.answer import (
    CONNECTION_CLOSED,
    MAX_ANSWER_BYTES,
    NO_CONNECTION,
    SAID_LENGTH,
    TOO_LARGE,
    UNREADABLE,
    WRONG,
    Answer,
    code_of,
)
from load.expected import Expectation
from load.plan import Server
from serving import http_answer
from serving.http_answer import AnswerTooLarge, AnswerUnreadable
from serving.http_connection import Connection, ConnectionFailed


class HttpConnection:
    """A client's connection: opened by its first request, and again after the server closed it."""

    def __init__(self, server: Server, clients: HttpClients) -> None:
        self._server = server
        self._clients = clients
        self._wire: Connection | None = None

    async def exchange(self, request: bytes) -> Answer:
        """Send a request, and return what became of it."""
        try:
            return self._answer(await self._ask(request))
        except OSError as error:
            return Answer(is_ok=False, kind=NO_CONNECTION, said=str(error))
        except ConnectionFailed as error:
            return Answer(is_ok=False, kind=CONNECTION_CLOSED, said=str(error))
        except AnswerUnreadable as error:
            return Answer(is_ok=False, kind=UNREADABLE, said=str(error))
        except AnswerTooLarge as error:
            return Answer(is_ok=False, kind=TOO_LARGE, said=str(error))

    def close(self) -> None:
        """Close the connection, where it is open."""
        if self._wire is not None:
            self._wire.close()

    async def _ask(self, request: bytes) -> http_answer.Answer:
        if self._wire is not None and self._wire.is_open:
            try:
                return await self._wire.ask((request,))
            except ConnectionFailed as failure:
                if not failure.unanswered:
                    raise
            # A server may close a connection that was idle; a request that crosses that is sent again.
            self._clients.reconnected += 1
        self._wire = await self._open()
        return await self._wire.ask((request,))

    async def _open(self) -> Connection:
        server = self._server
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(
            lambda: Connection(MAX_ANSWER_BYTES), server.host, server.port, ssl=server.tls or None
        )
        return wire

    def _answer(self, answer: http_answer.Answer) -> Answer:
        if answer.status != HTTPStatus.OK:
            return _refusal(answer)
        fault = self._clients.expectation.fault(answer)
        if fault:
            return Answer(is_ok=False, kind=WRONG, length=len(answer.body), said=fault)
        return Answer(is_ok=True, kind="200", length=len(answer.body))


class HttpClients:
    """The connections to one server."""

    def __init__(self, server: Server) -> None:
        self.expectation = Expectation(server.route)
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


def _refusal(answer: http_answer.Answer) -> Answer:
    after = answer.headers.get("retry-after", "")
    return Answer(
        is_ok=False,
        kind=f"{answer.status} {code_of(bytes(answer.body[:SAID_LENGTH]))}".rstrip(),
        length=len(answer.body),
        said=answer.said.strip(),
        retry_after_s=float(after) if after.isdigit() else None,
    )
