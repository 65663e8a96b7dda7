"""Reading a body: within its limit and its time, and never unpacked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request

from serving.errors import ContentTypeUnsupported, DeadlineExceeded, RequestTooLarge
from serving.server.busy import BODY
from serving.server.edge import call_of, headers_of


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body to its end, as long as it stays within `limit` bytes and the call's time.

    Raises:
        DeadlineExceeded: the client takes longer to send it than the answer may take.
        ContentTypeUnsupported: the body is compressed. It is not unpacked: a small bomb would fill the memory.
        RequestTooLarge: the body is, or says it is, over the limit.
    """
    headers = headers_of(request)
    _check_encoding(headers)
    stated = headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > limit:
        raise _too_large(limit)
    whole: bytes | None = request.scope["state"].pop(BODY, None)
    if whole is not None:
        if len(whole) > limit:
            raise _too_large(limit)
        return whole
    try:
        async with asyncio.timeout(call_of(request).remaining_s()):
            return await _read(request, limit)
    except TimeoutError as error:
        raise DeadlineExceeded("the body did not arrive in the time that was given") from error


async def _read(request: Request, limit: int) -> bytes:
    """Gather the parts of a body; a body of one part is not copied."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message["body"]
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message["more_body"]:
            return part if len(part) == size else b"".join(parts)


def _check_encoding(headers: Mapping[str, str]) -> None:
    """Raise `ContentTypeUnsupported` for a compressed body."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ContentTypeUnsupported(
            f"the content encoding {encoding:.40} is not read: send the body as it is; pictures are compressed already"
        )


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body is larger than {limit} bytes, the limit of this server", limit_bytes=limit)
