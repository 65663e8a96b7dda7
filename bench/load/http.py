"""HTTP/1.1 as far as a load generator needs it: whole requests out, answers of a stated length in."""

from __future__ import annotations

import asyncio
from typing import Final, cast

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class BadAnswer(RuntimeError):
    """The server answered with an error, or in a form that is not read here."""


class AnswerReader:
    """Finds the end of one answer after the other in a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body_at = 0
        self._end = 0

    def feed(self, data: bytes) -> int | None:
        """Take the next bytes; return the length of the answer's body once it is whole.

        Raises:
            BadAnswer: the status is not 200, or the head states no length.
        """
        self._buffer += data
        if not self._end and not self._read_head():
            return None
        if len(self._buffer) < self._end:
            return None
        length = self._end - self._body_at
        del self._buffer[: self._end]
        self._end = 0
        return length

    def _read_head(self) -> bool:
        head_end = self._buffer.find(_HEAD_END)
        if head_end < 0:
            return False
        head = bytes(self._buffer[:head_end])
        self._body_at = head_end + len(_HEAD_END)
        if head.split(b" ", 2)[1:2] != [b"200"]:
            said = bytes(self._buffer[self._body_at :]).decode(errors="replace")
            raise BadAnswer(f"{head.splitlines()[0].decode(errors='replace')}: {said:.300}")
        for line in head.lower().split(b"\r\n")[1:]:
            if line.startswith(_LENGTH):
                self._end = self._body_at + int(line[len(_LENGTH) :])
                return True
        raise BadAnswer("the answer has no content-length")


class HttpConnection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None

    async def exchange(self, request: bytes) -> int:
        """Send a request, and return the length of its answer's body.

        Raises:
            BadAnswer, ConnectionError: as their names say.
        """
        assert self._transport is not None  # noqa: S101  # connected before it is used
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's call: the connection is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass

    def data_received(self, data: bytes) -> None:
        """Asyncio's call: bytes came."""
        try:
            length = self._reader.feed(data)
        except BadAnswer as error:
            self._fail(error)
            return
        if length is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(length)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's call: the connection is closed."""
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class HttpClients:
    """Opens a connection for each client."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._open: list[HttpConnection] = []

    async def connect(self) -> HttpConnection:
        """Open one more connection."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(HttpConnection, *self._address)
        self._open.append(connection)
        return connection

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._open:
            connection.close()
