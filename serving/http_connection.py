"""One HTTP/1.1 connection, one request at a time.

A connection is used again only after a whole answer to a whole request, with nothing behind it. Whatever else ends a
request, a deadline or a cancelled caller among them, ends the connection too: half an answer would be taken for the
next one's. What is written is kept by the transport as it is, uncopied, until the peer has read it; as nothing more is
written before the answer, a peer that does not read costs no memory beside the request's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, cast

from serving.http_answer import Answer, AnswerReader, AnswerTooLarge, AnswerUnreadable

RECEIVE_BYTES: Final = 16 * 1024
"""What is received at a time of heads, and of bodies whose length is not known."""


class ConnectionFailed(Exception):
    """The connection ended, or could not be made, before a whole answer came; the message says how."""

    def __init__(self, message: str, *, unanswered: bool = False) -> None:
        super().__init__(message)
        self.unanswered = unanswered
        """Whether not a byte of an answer had come."""


class Connection(asyncio.BufferedProtocol):
    """Takes requests, one after another, while `is_open`."""

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._loop = asyncio.get_running_loop()
        self.opened_at = self._loop.time()
        self.ended = self._loop.create_future()
        """Done when the socket is closed."""
        self._inbox = memoryview(bytearray(RECEIVE_BYTES))
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[Answer] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return not self._transport.is_closing()

    async def ask(self, parts: Sequence[bytes | memoryview]) -> Answer:
        """Send a request and return the answer to it. The parts may not change before this returns.

        Raises:
            ConnectionFailed: the connection ended before.
            AnswerUnreadable, AnswerTooLarge: as their names say.
        """
        self._reader = AnswerReader(self._max_body_bytes)
        self._waiter = self._loop.create_future()
        keep = False
        try:
            self._transport.writelines(parts)
            answer = await self._waiter
            keep = answer.keep_alive and not self._transport.get_write_buffer_size()
            return answer
        finally:
            self._reader = self._waiter = None
            if not keep:
                self.close()

    def close(self) -> None:
        """Close the connection, whatever is under way."""
        self._fail(ConnectionFailed("it was closed on this side"))
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the one who waits."""
        self.ended.set_result(None)
        if self._reader is None:
            return
        if exc is None:
            self._reader.end()
            self._look()
        begun = self._reader.has_begun
        how = repr(exc) if exc else "it was closed"
        self._fail(ConnectionFailed(f"{how} {'within' if begun else 'before'} the answer", unanswered=not begun))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's name
        """Return where the next bytes belong."""
        return (self._reader and self._reader.place()) or self._inbox

    def buffer_updated(self, nbytes: int) -> None:
        """Read what came."""
        reader = self._reader
        if reader is None or self._waiter is None or self._waiter.done():
            self.close()  # nobody asked
            return
        try:
            if reader.place() is None:
                reader.read(bytes(self._inbox[:nbytes]))
            else:
                reader.received(nbytes)
        except (AnswerUnreadable, AnswerTooLarge) as error:
            self._fail(error)
        self._look()

    def _look(self) -> None:
        if self._reader and self._reader.answer and self._waiter and not self._waiter.done():
            self._waiter.set_result(self._reader.answer)

    def _fail(self, error: Exception) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(error)
