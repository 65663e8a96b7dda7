"""HTTP/1.1 as uvicorn speaks it, with bounds on what a connection may send before it is answered, and fewer copies.

Uvicorn's parser takes a head of any length for any time, and goes on reading pipelined requests while their answers
pile up. A connection that does either is closed.

Uvicorn also copies each part of a body twice, stops and resumes reading for a body that is all there, and sends an
answer's head and body apart: calls of the system that cost more than what they are for.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.server.busy import abandon

MAX_HEAD_BYTES: Final = 64 * 1024
"""The most bytes of one request's line and headers; they arrive in portions of up to 256 KiB, so some more are read."""

HEAD_TIMEOUT_S: Final = 30.0
"""Seconds that a head may take from its first byte, or from the connection's begin, to its end."""

MAX_PIPELINED: Final = 32
"""The most requests that may wait on one connection for the answer to an earlier one."""

MAX_UNREAD_BYTES: Final = 512 * 1024
"""How much of a body may wait until the application takes it: two portions."""

INTERIM: Final = b"HTTP/1.1 100 "
"""How an answer begins that says: send the body."""

TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 76\r\n\r\n{"error":"REQUEST_TOO_LARGE: the request line and headers are over 64 KiB"}\n'
)


class BoundedHttp(HttpToolsProtocol):
    """Closes connections whose head is too long or too slow, or that pipeline without reading."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._answering: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer, and end the work for the request that is being answered."""
        self._disarm()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True  # uvicorn tells only the last of those that were pipelined
            abandon(self._answering.scope)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and close what is over a bound."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._arm()
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                if getattr(self.cycle, "response_complete", True):
                    self.transport.write(TOO_LARGE)
                self.transport.close()
        elif len(self.pipeline) > MAX_PIPELINED:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to count a head."""
        self._head_bytes = 0
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: the body has bounds of its own."""
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Let the application have a part of the body: as it is, where no other waits."""
        cycle: Any = self.cycle
        if cycle.response_complete:
            return
        if not cycle.body:
            cycle.body = body
        elif isinstance(cycle.body, bytes):
            cycle.body = bytearray(cycle.body) + body
        else:
            cycle.body += body
        if len(cycle.body) > MAX_UNREAD_BYTES:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Answer a request; an answer to HEAD has no body that its head could wait for."""
        self._answering = cycle
        if cycle.scope["method"] != "HEAD":
            cycle.transport = OneWrite(cycle.transport)
        super()._start_asgi_task(cycle, app)

    def _arm(self) -> None:
        if self._head_timer is None:
            self._head_timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self._give_up)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()


class OneWrite:
    """The transport of one answer: keeps the answer's head until the first part of its body goes out with it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None
        self._is_begun = False

    def write(self, data: bytes) -> None:
        """Send bytes, or keep them where they are the head."""
        if self._head is not None:
            self._transport.writelines([self._head, data])
            self._head = None
        elif self._is_begun or data.startswith(INTERIM):
            self._transport.write(data)
        else:
            self._is_begun = True
            self._head = data

    def close(self) -> None:
        """Close the connection, when all is sent."""
        if self._head is not None:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closed, or about to be."""
        return self._transport.is_closing()
