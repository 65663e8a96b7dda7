"""HTTP/1.1 as uvicorn speaks it, with bounds on what a connection may send before it is answered, and fewer copies.

Uvicorn's parser takes a head of any length for any time, and goes on reading pipelined requests while their answers
pile up. A connection that does either is closed.

Uvicorn also copies each part of a body twice, stops and resumes reading for a body that is all there, and sends an
answer's head and body apart: calls of the system that cost more than what they are for. A busy route's answer goes out
whole.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.server.busy import STRAIGHT, abandon
from serving.server.straight import Straight

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


MALFORMED: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 60\r\n\r\n{"error":"REQUEST_INVALID: this is no request of HTTP/1.1"}\n'
)

NO_UPGRADE: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b'content-length: 86\r\n\r\n{"error":"REQUEST_INVALID: this server speaks HTTP/1.1 only: send no header Upgrade"}\n'
)

HEAD_END: Final = b"\r\n\r\n"

_UPGRADE: Final = re.compile(rb"(?i)\nupgrade(?=[ \t]*:)")


class BoundedHttp(HttpToolsProtocol):
    """Closes connections whose head is too long or too slow, or that pipeline without reading."""

    flow: Flow

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._in_head = True
        self._expects_head = True
        self._begun = 0
        self._is_deaf = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._answering: Any = None
        self._behind_bytes = 0
        self._head_end = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for a head."""
        super().connection_made(transport)
        self.flow = Flow(transport, self)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer, and end the work for the request that is being answered."""
        self._disarm()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True  # uvicorn tells only the last of those that were pipelined
            self._answering.message_event.set()
            abandon(self._answering.scope)
        super().connection_lost(exc)
        self.flow.forget()

    def data_received(self, data: bytes) -> None:
        """Read, and close what is over a bound."""
        if self._is_over():
            return
        begun = self._begun
        if self._expects_head:
            data, self._head_end = _ignore_upgrade(data, self._head_end)
        super().data_received(data)
        if self._is_over():
            return
        if getattr(self.cycle, "response_complete", False):
            self._arm()  # for what still comes of a request that is answered already, or of no request at all
        if self._in_head:
            self._arm()
            if self._begun == begun:  # else most of this may well be what came before the head
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
        self._begun += 1
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: the body has bounds of its own."""
        self._in_head = self._expects_head = False
        self._disarm()
        if self.parser.should_upgrade():  # the parser would take the body for what is spoken after it
            self._refuse(NO_UPGRADE)
        if not self._is_over():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Let the application have a part of the body: as it is, where no other waits."""
        cycle: Any = self.cycle
        if self._is_over() or cycle.response_complete:
            return
        if not cycle.body:
            cycle.body = body
        elif isinstance(cycle.body, bytes):
            cycle.body = bytearray(cycle.body) + body
        else:
            cycle.body += body
        self.flow.follow()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Expect another head."""
        self._expects_head = True
        self._head_end = b""
        if not self._is_over():
            super().on_message_complete()
            cycle: Any = self.cycle
            if cycle is not self._answering:
                self._behind_bytes += len(cycle.body)
            self.flow.follow()

    def send_400_response(self, _: str) -> None:
        """Answer what cannot be parsed, after what was asked before it."""
        self._refuse(MALFORMED)

    def has_enough(self) -> bool:
        """Whether what waits of bodies is over the bound: of the one that comes, and of those that are behind another.

        A body that is all there, and is next, does not count: while it is answered, only reading tells that its client
        has gone.
        """
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        coming = len(cycle.body) if cycle.more_body else 0
        return coming + self._behind_bytes > MAX_UNREAD_BYTES

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Answer a request, and offer the application the way past ASGI's messages."""
        self._answering = cycle
        cycle.scope[STRAIGHT] = Straight(cycle)  # a circle, which the application cuts
        super()._start_asgi_task(cycle, app)
        if not cycle.more_body:  # it was behind another
            self._behind_bytes -= len(cycle.body)
        self.flow.follow()

    def _is_over(self) -> bool:
        """Whether nothing more is read."""
        return self._is_deaf or self.transport.is_closing()

    def _refuse(self, answer: bytes) -> None:
        """Read nothing more, and close the connection once what was asked before is answered."""
        self._is_deaf = True
        if getattr(self.cycle, "response_complete", True):
            self.transport.write(answer)
            self.transport.close()
        else:
            self.cycle.keep_alive = False

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


class Flow(FlowControl):
    """Reads from a connection, unless enough of bodies waits there; whoever wants it otherwise.

    Uvicorn's own stops reading behind each pipelined request, reads again whenever an application asks for a part of a
    body, and leaves it stopped behind a body that is all there.
    """

    def __init__(self, transport: asyncio.Transport, connection: BoundedHttp) -> None:
        super().__init__(transport)
        self._connection: BoundedHttp | None = connection  # a circle, which `forget` cuts

    def follow(self) -> None:
        """Read, or stop."""
        if self._connection is None:
            return
        if self._connection.has_enough():
            super().pause_reading()
        else:
            super().resume_reading()

    def forget(self) -> None:
        """Do nothing more: the connection is lost."""
        self._connection = None

    def pause_reading(self) -> None:
        """Look whether that is right."""
        self.follow()

    def resume_reading(self) -> None:
        """Look whether that is right."""
        self.follow()


def _ignore_upgrade(data: bytes, before: bytes) -> tuple[bytes, bytes]:
    """Return what begins with a head, or within one, without its wish for another protocol, which many clients have
    (`h2c`), and which a server may ignore (RFC 9110, 7.8). The parser would not: it takes the body for that protocol.

    `before` are the last bytes of the head that came before it; those that `data` ends with are returned too.
    """
    end = (before + data).find(HEAD_END)
    head = data if end < 0 else data[: end + len(HEAD_END) - len(before)]
    if _UPGRADE.search(head):
        data = _UPGRADE.sub(b"\nignored", head) + data[len(head) :]
    return data, (before + head)[1 - len(HEAD_END) :]
