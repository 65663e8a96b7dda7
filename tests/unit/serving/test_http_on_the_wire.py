"""What stands on the wire: the protocol is uvicorn's, and ours reaches into it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from serving.server.http import BoundedHttp
from serving.server.rest import QuietUvicorn

PATIENCE_S = 20.0
HEAD_END = b"\r\n\r\n"

App = Callable[[Any, Any, Any], Awaitable[None]]


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def echo(_: Any, receive: Any, send: Any) -> None:
    data, more = b"", True
    while more:
        message = await receive()
        data += message["body"]
        more = message["more_body"]
    await send(start(200, (b"content-length", str(len(data)).encode())))
    await send(body(data))


async def empty(scope: Any, _: Any, send: Any) -> None:
    await send(start(int(scope["path"][1:])))
    await send(body())


async def breaks(_: Any, __: Any, send: Any) -> None:
    await send(start(200, (b"content-length", b"5")))
    raise RuntimeError("between head and body")


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[QuietUvicorn]:
    config = uvicorn.Config(
        app, "127.0.0.1", 0, http=BoundedHttp, lifespan="off", ws="none", log_config=None, server_header=False,
        date_header=False,
    )  # fmt: skip
    server = QuietUvicorn(config)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not server.started:  # noqa: ASYNC110  # uvicorn tells nobody
                await asyncio.sleep(0)
            yield server
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def connected(app: App) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with serving(app) as server:
        reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        yield reader, writer
        writer.close()


def request(method: str, path: str = "/", *headers: str, content: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def read_head(reader: asyncio.StreamReader) -> list[bytes]:
    return (await reader.readuntil(HEAD_END)).removesuffix(HEAD_END).lower().split(b"\r\n")


async def test_a_client_that_asks_first_is_told_to_send_its_body() -> None:
    async with connected(echo) as (reader, writer):
        for _ in range(2):
            whole = request("POST", "/", "expect: 100-continue", content=b"hello")
            writer.write(whole.removesuffix(b"hello"))
            assert await read_head(reader) == [b"http/1.1 100 continue"]
            writer.write(b"hello")
            assert await read_head(reader) == [b"http/1.1 200 ok", b"content-length: 5"]
            assert await reader.readexactly(5) == b"hello"


@pytest.mark.parametrize("size", [0, 1, 700_000])
async def test_bodies_come_back_whole_one_after_another(size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with connected(echo) as (reader, writer):
        for _ in range(2):
            writer.write(request("POST", content=content))
            assert (await read_head(reader))[1] == b"content-length: %d" % size
            assert await reader.readexactly(size) == content


async def test_a_head_alone_is_the_answer_to_head() -> None:
    async with connected(echo) as (reader, writer):
        writer.write(request("HEAD", content=b"hello") + request("POST", content=b"next"))
        assert await read_head(reader) == [b"http/1.1 200 ok", b"content-length: 5"]
        assert await read_head(reader) == [b"http/1.1 200 ok", b"content-length: 4"]
        assert await reader.readexactly(4) == b"next"


@pytest.mark.parametrize(("status", "words"), [(204, b"no content"), (304, b"not modified")])
async def test_an_answer_that_has_no_body_by_its_status_is_a_head(status: int, words: bytes) -> None:
    async with connected(empty) as (reader, writer):
        for _ in range(2):
            writer.write(request("GET", f"/{status}"))
            assert await read_head(reader) == [b"http/1.1 %d %s" % (status, words)]


async def test_the_parts_of_a_streamed_answer_come_as_they_are_sent() -> None:
    go_on = asyncio.Event()

    async def stream(_: Any, __: Any, send: Any) -> None:
        await send(start(200))
        await send(body(b"one", more=True))
        await go_on.wait()
        await send(body(b"two", more=True))
        await send(body())

    async with connected(stream) as (reader, writer):
        writer.write(request("GET"))
        assert await read_head(reader) == [b"http/1.1 200 ok", b"transfer-encoding: chunked"]
        assert await reader.readexactly(8) == b"3\r\none\r\n"
        go_on.set()
        assert await reader.readexactly(13) == b"3\r\ntwo\r\n0\r\n\r\n"


async def test_an_error_between_head_and_body_ends_the_connection_short_of_the_body() -> None:
    async with connected(breaks) as (reader, writer):
        writer.write(request("GET"))
        assert await read_head(reader) == [b"http/1.1 200 ok", b"content-length: 5"]
        assert await reader.read() == b""


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0"])
@pytest.mark.parametrize("name", ["upgrade", "Upgrade", "UPGRADE "])
async def test_a_wish_for_another_protocol_is_ignored(protocol: str, name: str) -> None:
    wish = ("connection: upgrade", f"{name.strip()}: {protocol}")
    async with connected(echo) as (reader, writer):
        writer.write(request("POST", "/", *wish, content=b"\nupgrade: a body"))

        assert (await read_head(reader))[0] == b"http/1.1 200 ok"
        assert await reader.readexactly(16) == b"\nupgrade: a body"


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
async def test_a_body_that_begins_as_a_wish_is_left_as_it_is(cut: int) -> None:
    content = b"upgrade: h2c\r\n"
    whole = request("POST", content=content)
    at = len(whole) - len(content) - cut
    async with connected(echo) as (reader, writer):
        writer.write(whole[:at])
        await asyncio.sleep(0.05)
        writer.write(whole[at:])
        await read_head(reader)
        assert await asyncio.wait_for(reader.readexactly(len(content)), PATIENCE_S) == content


@pytest.mark.parametrize("where", ["behind a request", "cut in two"])
async def test_a_wish_that_comes_late_is_refused_and_its_body_is_no_request(where: str) -> None:
    wish = ("connection: upgrade", "upgrade: h2c")
    smuggled = request("POST", "/", *wish, content=request("POST", content=b"smuggled"))
    parts = [request("POST", content=b"first") + smuggled]
    if where == "cut in two":
        cut = smuggled.index(b"grade: h2c")
        parts = [smuggled[:cut], smuggled[cut:]]
    async with connected(echo) as (reader, writer):
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.05)
        received = await asyncio.wait_for(reader.read(), PATIENCE_S)

    answered = b"200 OK" if where == "behind a request" else b"400 Bad Request"
    assert received.startswith(b"HTTP/1.1 " + answered)
    assert b"\nHTTP/1.1 " not in received
    assert b"smuggled" not in received


async def test_pipelined_bodies_are_not_counted_as_the_head_that_follows_them() -> None:
    whole = request("POST", content=b"x" * 24_000)
    async with connected(echo) as (reader, writer):
        writer.write(whole * 8 + whole[:40])
        await asyncio.sleep(0.2)
        writer.write(whole[40:])
        for _ in range(9):
            assert (await asyncio.wait_for(read_head(reader), PATIENCE_S))[0] == b"http/1.1 200 ok"
            await reader.readexactly(24_000)


@pytest.mark.parametrize("behind", [b"\r\n", b"x"])
async def test_a_connection_is_not_held_open_by_what_is_no_request(
    monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    async def refuse(_: Any, __: Any, send: Any) -> None:
        await send(start(404, (b"content-length", b"0")))
        await send(body())

    monkeypatch.setattr("serving.server.http.HEAD_TIMEOUT_S", 0.2)
    async with connected(refuse) as (reader, writer):
        head = request("POST", content=b"some more")
        writer.write(head if behind == b"\r\n" else head[:-9])
        await read_head(reader)
        for _ in range(3):
            writer.write(behind)
            await asyncio.sleep(0.05)

        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


async def test_what_is_no_http_is_answered_in_json() -> None:
    async with connected(echo) as (reader, writer):
        writer.write(b"hello\r\n\r\n")
        received = await asyncio.wait_for(reader.read(), PATIENCE_S)

    head, _, content = received.partition(HEAD_END)
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-length: %d" % len(content) in head
    assert json.loads(content) == {"error": "REQUEST_INVALID: this is no request of HTTP/1.1"}


async def test_what_is_no_http_behind_a_request_is_not_taken_for_its_answer() -> None:
    go_on = asyncio.Event()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await echo(scope, receive, send)

    async with connected(late) as (reader, writer):
        writer.write(request("POST", content=b"first") + b"hello\r\n\r\n")
        await asyncio.sleep(0.1)
        go_on.set()
        received = await asyncio.wait_for(reader.read(), PATIENCE_S)

    assert received.startswith(b"HTTP/1.1 200 OK")
    assert received.endswith(HEAD_END + b"first")


async def test_pipelined_bodies_wait_in_the_network_beyond_a_bound() -> None:
    go_on = asyncio.Event()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await echo(scope, receive, send)

    count, size = 24, 400_000
    async with connected(late) as (reader, writer):
        writer.write(request("POST", content=b"x" * size) * count)
        await asyncio.sleep(0.5)
        unsent = writer.transport.get_write_buffer_size()
        go_on.set()
        for _ in range(count):
            assert (await asyncio.wait_for(read_head(reader), PATIENCE_S))[0] == b"http/1.1 200 ok"
            await reader.readexactly(size)

    assert unsent > 0


@pytest.mark.parametrize("behind", [b"", request("POST", content=b"x" * 10_000)], ids=["alone", "pipelined"])
async def test_while_a_large_body_is_answered_its_client_is_heard_to_go(behind: bytes) -> None:
    gone = asyncio.Event()

    async def wait(_: Any, receive: Any, __: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async with connected(wait) as (_, writer):
        writer.write(request("POST", content=b"x" * 700_000) + behind)
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.wait_for(gone.wait(), PATIENCE_S)


async def test_a_request_that_arrives_while_the_door_closes_is_answered() -> None:
    async with serving(echo) as server:
        reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
        for content in (b"first", b"last"):
            writer.write(request("POST", content=content))
            if content == b"last":  # nothing reads it before the end begins
                await server.shutdown()
            await read_head(reader)
            assert await reader.readexactly(len(content)) == content
        writer.close()
