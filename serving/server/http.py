"""HTTP/1.1 as uvicorn speaks it, with bounds on what a connection may send before it is answered.

Uvicorn's parser takes a head of any length for any time, and goes on reading pipelined requests while their answers
pile up. A connection that does either is closed.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
"""The most bytes of one request's line and headers; they arrive in portions of up to 256 KiB, so some more are read."""

HEAD_TIMEOUT_S: Final = 30.0
"""Seconds that a head may take from its first byte, or from the connection's begin, to its end."""

MAX_PIPELINED: Final = 32
"""The most requests that may wait on one connection for the answer to an earlier one."""

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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and close what is over a bound."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
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
        self._arm()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: the body has bounds of its own."""
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

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
