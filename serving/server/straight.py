"""The way past ASGI: from the server's own cycle of a request and its answer to a busy route, and back."""

from __future__ import annotations

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from serving.server.busy import CLOSE, RawHeaders


class Straight:
    """The way past ASGI's messages, for one request: its body at once, and its answer at once.

    It does what the cycle's `receive` does for a body that is all there, and its `send` for a head and for a body, each
    of which goes out by itself there, after a look at each header that may come from anywhere. These are ours.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def take_body(self) -> bytes | None:
        """Return the body if all of it is there, once: whoever receives then is told that there is nothing more."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    async def send(self, response: Response, headers: RawHeaders) -> None:
        """Send an answer, with `headers` in place of its own, in one write."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        head = [STATUS_LINE[response.status_code]]
        for name, value in (*cycle.default_headers, *headers):
            head += (name, b": ", value, b"\r\n")
        if CLOSE in headers:
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            head.append(b"connection: close\r\n")
        head.append(b"\r\n")
        cycle.transport.writelines((b"".join(head), response.body))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
