"""A server of raw bytes, which does with its connections what it likes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

PATIENCE_S = 20.0

Serve = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """A server of raw bytes; `serve` is what it does with each connection."""

    serve: Serve
    connections: int = 0
    open: int = 0
    heads: list[bytes] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._changed.set()
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self.serve(self, reader, writer)
        finally:
            writer.close()
            self.open -= 1
            self._changed.set()

    async def read_request(self, reader: asyncio.StreamReader) -> None:
        """Read one request to its end; IncompleteReadError where there is none."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        self.heads.append(head)
        self._changed.set()

    async def until(self, holds: Callable[[Peer], bool]) -> None:
        """Wait until something holds of the connections or the heads."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()


def replying(*replies: bytes, pause_s: float = 0) -> Serve:
    """Answer the requests of each connection with these replies, the last one again and again; empty to hang up."""

    async def serve(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(replies)
        while True:
            await peer.read_request(reader)
            await asyncio.sleep(pause_s)
            reply = left.pop(0) if len(left) > 1 else left[0]
            if not reply:
                return
            writer.write(reply)
            await writer.drain()

    return serve


def once(reply: bytes) -> Serve:
    """Answer one request on each connection and close it."""

    async def serve(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(reply)
        await writer.drain()

    return serve
