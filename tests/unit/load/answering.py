"""A small real HTTP server that answers by a script, on a thread of its own."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PREDICTIONS = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 34\r\n\r\n{"success":true, "predictions":[]}'
)
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 23\r\n\r\n" + b'{"error":"FULL: later"}'
CLOSE: bytes = b""
"""Closes the connection instead of an answer."""
NEVER: bytes = b"never"
"""Leaves the request without an answer."""

Script = Callable[[int], bytes]
"""The answer to each request, by its number from 0."""


@dataclass
class Answering:
    """A server that runs."""

    script: Script
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    close_after_each: bool = False
    loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await _read(reader):
                self.requests.append(request)
                answer = self.script(len(self.requests) - 1)
                if answer == NEVER:
                    continue
                writer.write(answer)
                if not answer or self.close_after_each:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def run(self, is_up: threading.Event, stop: asyncio.Event) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._run(is_up, stop))

    async def _run(self, is_up: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.loop = asyncio.get_running_loop()
        is_up.set()
        await stop.wait()
        server.close()


@contextmanager
def answering(script: Script, *, close_after_each: bool = False) -> Iterator[Answering]:
    """Serve on a thread until the block ends; open connections are cut then."""
    serving, is_up, stop = Answering(script, close_after_each=close_after_each), threading.Event(), asyncio.Event()
    thread = threading.Thread(target=serving.run, args=(is_up, stop))
    thread.start()
    assert is_up.wait(10)
    try:
        yield serving
    finally:
        assert serving.loop is not None
        serving.loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _read(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return head + await reader.readexactly(int(length[1]) if length else 0)
