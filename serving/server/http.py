"""HTTP/1.1 as uvicorn speaks it, with bounds on what a connection may send before it is answered, and fewer copies.

Uvicorn's parser takes a head of any length for any time, and goes on reading pipelined requests while their answers
pile up. A connection that does either is closed.

Uvicorn also copies each part of a body twice, stops and resumes reading for a body that is all there, and sends an
answer's head and body apart: calls of the system that cost more than what they are for. A busy route's answer goes out
whole.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from serving.server.busy import BODY, CLOSE, WHOLE, RawHeaders, abandon

MAX_HEAD_BYTES: Final = 64 * 1024
"""The most bytes of one request's line and headers; they arrive in portions of up to 256 KiB, so some more are read."""

HEAD_TIMEOUT_S: Final = 30.0
"""Seconds that a head may take from its first byte, or from the connection's begin, to its end."""

MAX_PIPELINED: Final = 32
"""The most requests that may wait on one connection for the answer to an earlier one."""

MAX_UNREAD_BYTES: Final = 512 * 1024
"""How much of a body may wait until the application takes it: two portions."""

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
        """Answer a request; one that is answered all at once goes past ASGI's two messages."""
        self._answering = cycle
        cycle.scope["extensions"] = {WHOLE: partial(send_whole, cycle), BODY: partial(take_body, cycle)}
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


def take_body(cycle: RequestResponseCycle) -> bytes | None:
    """Return a request's body where all of it is there; the next who receives is told that there is nothing more."""
    if cycle.more_body or cycle.disconnected:
        return None
    body, cycle.body = bytes(cycle.body), bytearray()
    cycle.flow.resume_reading()  # to hear of a client that goes away
    return body


async def send_whole(cycle: RequestResponseCycle, response: Response, headers: RawHeaders) -> None:
    """Send an answer that is all there, with `headers` in place of its own, in one write.

    It does what the cycle's `send` does for a head and for a body, each of which goes out by itself there, after a look
    at each header that may come from anywhere. These are ours.
    """
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    content = [STATUS_LINE[response.status_code]]
    for name, value in (*cycle.default_headers, *headers):
        content += (name, b": ", value, b"\r\n")
    if CLOSE in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        content.append(b"connection: close\r\n")
    content += (b"\r\n", bytes(response.body))
    cycle.transport.write(b"".join(content))
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
