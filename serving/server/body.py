"""The bodies of requests: each within its limit and its time, all of them within a bound, and never unpacked.

A connection costs a client nothing, and twenty of them that send the largest body each would fill the memory of a
container before any queue has seen a row. So the bytes of all bodies are counted together, from their arrival to the
end of their request; what would go over the bound is refused, so that those that are further can end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request

from serving.call import Call
from serving.errors import ContentTypeUnsupported, DeadlineExceeded, Overloaded, RequestTooLarge
from serving.metrics import Metrics
from serving.server.busy import BODY
from serving.server.scope import call_of, headers_of


class Bodies:
    """The bodies that a server holds: `limit_each` bytes of one at most, and `limit_together` of all."""

    def __init__(self, limit_each: int, limit_together: int, metrics: Metrics) -> None:
        self._limit = min(limit_each, limit_together)
        self._limit_together = limit_together
        self._held = metrics.level_of(metrics.body_bytes)
        self._rejected = metrics.rejected.labels("", "", "mb")

    async def read(self, request: Request) -> bytes:
        """Read a body to its end, as long as it stays within the bounds and the call's time.

        Raises:
            DeadlineExceeded: the client takes longer to send it than the answer may take.
            ContentTypeUnsupported: the body is compressed. It is not unpacked: a small bomb would fill the memory.
            RequestTooLarge: the body is, or says it is, over the limit.
            Overloaded: there is no room for it beside the others.
        """
        headers, call = headers_of(request), call_of(request)
        _check_encoding(headers)
        whole: bytes | None = request.scope["state"].pop(BODY, None)
        if whole is not None:
            self._hold_of(call, len(whole))
            return whole
        stated = headers.get("content-length", "0")
        if stated.isdigit():
            self._check_length(int(stated))
            self._check_room(int(stated))
        try:
            async with asyncio.timeout(call.remaining_s()):
                return await self._read(request, call)
        except TimeoutError as error:
            raise DeadlineExceeded("the body did not arrive in the time that was given") from error

    def hold(self, call: Call, size: int) -> None:
        """Count `size` more bytes of a call's body, which was read elsewhere.

        Raises:
            Overloaded: there is no room for them beside the others.
        """
        self._check_room(size)
        self._held.value += size
        call.body_bytes += size

    def release(self, call: Call) -> None:
        """Count a call's body no longer: its request has ended."""
        self._held.value -= call.body_bytes
        call.body_bytes = 0

    def _hold_of(self, call: Call, size: int) -> None:
        self._check_length(call.body_bytes + size)
        self.hold(call, size)

    def _check_length(self, size: int) -> None:
        if size > self._limit:
            raise RequestTooLarge(
                f"the body is larger than {self._limit} bytes, the limit of this server", limit_bytes=self._limit
            )

    def _check_room(self, size: int) -> None:
        if self._held.value + size > self._limit_together:
            self._rejected.inc()
            raise Overloaded(
                f"{self._held.value} bytes of other requests' bodies are here, and {self._limit_together} may be "
                "(MAX_QUEUE_MB)",
                bound="mb",
            )

    async def _read(self, request: Request, call: Call) -> bytes:
        """Gather the parts of a body; a body of one part is not copied."""
        parts: list[bytes] = []
        while True:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part: bytes = message["body"]
            self._hold_of(call, len(part))
            parts.append(part)
            if not message["more_body"]:
                return part if len(part) == call.body_bytes else b"".join(parts)


def _check_encoding(headers: Mapping[str, str]) -> None:
    """Raise `ContentTypeUnsupported` for a compressed body."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ContentTypeUnsupported(
            f"the content encoding {encoding:.40} is not read: send the body as it is; pictures are compressed already"
        )
