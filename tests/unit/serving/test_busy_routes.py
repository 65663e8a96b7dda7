"""The application over a real socket: busy routes, the framework's routes, and how bodies and answers travel."""

from __future__ import annotations

import asyncio
import gc
import socket
from asyncio import selector_events
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from serving.call import Call
from serving.errors import ImageCorrupt, RequestTooLarge
from serving.metrics import Metrics
from serving.server.answers import json_response
from serving.server.body import Bodies
from serving.server.busy import BusyRouter
from serving.server.dataplane import VisionDataPlane
from serving.server.edge import VisionApp
from serving.server.http import MAX_UNREAD_BYTES, BoundedHttp
from serving.server.repository import VisionRepository
from serving.server.scope import call_of

from .idle import Idle

MIB = 2**20
LIMIT = 8 * MIB
TOGETHER = 20 * MIB
PATIENCE_S = 20.0
ORIGIN = "https://example.org"


async def named(request: Request, name: str, version: str | None = None) -> Response:
    """Answer what the path says."""
    return json_response({"name": name, "version": version, "protocol": call_of(request).protocol})


async def refuse(_: Request) -> Response:
    """Refuse."""
    raise ImageCorrupt("broken")


async def fail(_: Request) -> Response:
    """Fail."""
    raise KeyError("a bug")


async def big(_: Request) -> Response:
    """Answer more than a connection holds."""
    return Response(bytes(16 * MIB))


async def stream(_: Request) -> Response:
    """Answer in parts."""

    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one ", b"two ", b"three"):
            yield part
            await asyncio.sleep(0)

    return StreamingResponse(parts())


class Length:
    """A handler that answers how long the body is, and what it begins and ends with."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    async def __call__(self, request: Request) -> Response:
        """Answer."""
        body = await self._bodies.read(request)
        return json_response({"length": len(body), "ends": (body[:1] + body[-1:]).decode()})


class Held:
    """A handler that never answers, and notes what becomes of it."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        """Read the request, and wait for ever."""
        await self._bodies.read(request)
        self.began.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError("nobody settles it")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("test")


@pytest.fixture
def bodies(metrics: Metrics) -> Bodies:
    return Bodies(LIMIT, TOGETHER, metrics)


@pytest.fixture
def held(bodies: Bodies) -> Held:
    return Held(bodies)


@pytest.fixture
def dataplane(tmp_path: Path) -> VisionDataPlane:
    return VisionDataPlane(VisionRepository(tmp_path, "m", Idle, Metrics("test")))


class Reading(BaseHTTPMiddleware):
    """A layer that looks at each body before the application does."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Read it."""
        await request.body()
        return await call_next(request)


LAYERS: dict[str, tuple[Any, dict[str, Any]] | None] = {
    "straight": None,
    "CORS": (CORSMiddleware, {"allow_origins": [ORIGIN], "allow_methods": ["POST"]}),
    "a layer that reads": (Reading, {}),
}
"""What is added to the application: nothing, so that busy routes are answered past ASGI's messages, or a middleware."""

WITH_CORS = pytest.mark.parametrize("port", ["CORS"], indirect=True)
STRAIGHT = pytest.mark.parametrize("port", ["straight"], indirect=True)


@pytest.fixture(params=["straight", "CORS"])
async def port(
    dataplane: VisionDataPlane, bodies: Bodies, held: Held, request: pytest.FixtureRequest
) -> AsyncIterator[int]:
    router = BusyRouter(tags=["test"])
    router.add_busy_route(
        "/length", Length(bodies).__call__, openapi_extra={"requestBody": {"content": {"text/plain": {}}}}
    )
    router.add_busy_route("/v2/models/{name}/infer", named)
    router.add_busy_route("/v2/models/{name}/versions/{version}/infer", named)
    for path, handler in (("/refuse", refuse), ("/fail", fail), ("/big", big)):
        router.add_busy_route(path, handler)
    router.add_busy_route("/held", held.__call__)
    router.add_api_route("/stream", stream, methods=["POST"], response_model=None)
    router.add_api_route("/quiet", refuse, methods=["GET"], response_model=None)
    app = VisionApp("test", "1", dataplane, bodies)
    app.include_router(router)
    layer = LAYERS[request.param]
    if layer is not None:
        app.add_middleware(layer[0], **layer[1])
    config = uvicorn.Config(app, http=BoundedHttp, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedHttp(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(PATIENCE_S):
            while state.tasks:  # noqa: ASYNC110  # of connections that were closed
                await asyncio.sleep(0.01)


@pytest.fixture
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False) as client:
        yield client


async def exchanged(port: int, *parts: bytes) -> bytes:
    """Send parts one after the other, and return all that comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.01)
    received = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    await writer.wait_closed()
    return received


@pytest.mark.parametrize("behind", [b"", b"POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"])
async def test_the_work_for_a_client_that_has_gone_is_ended(
    port: int, held: Held, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /held HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n" + behind)
    async with asyncio.timeout(PATIENCE_S):
        await held.began.wait()

    writer.close()

    async with asyncio.timeout(PATIENCE_S):
        await held.cancelled.wait()
    assert not caplog.records


async def test_a_busy_route_gets_what_its_path_says(client: httpx.AsyncClient) -> None:
    one = await client.post("/v2/models/m%20x/infer")
    two = await client.post("/v2/models/m/versions/3/infer")

    assert one.json() == {"name": "m x", "version": None, "protocol": "v2-rest"}
    assert two.json() == {"name": "m", "version": "3", "protocol": "v2-rest"}


@pytest.mark.parametrize("path", ["/length", "/refuse", "/fail", "/quiet", "/none", "/stream"])
async def test_every_answer_carries_the_request_id(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.request("GET" if path == "/quiet" else "POST", path, headers={"x-request-id": "abc"})

    assert answer.headers.get_list("x-request-id") == ["abc"]
    assert answer.headers.get_list("x-correlation-id") == ["abc"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/refuse", 400, "IMAGE_CORRUPT"),
        ("GET", "/quiet", 400, "IMAGE_CORRUPT"),
        ("POST", "/fail", 500, "INTERNAL"),
        ("GET", "/length", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/refuse", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/lengths", 404, "ROUTE_NOT_FOUND"),
    ],
)
async def test_errors_leave_in_one_form(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_slash_too_many_leads_to_the_route(client: httpx.AsyncClient) -> None:
    answer = await client.post("/length/", content=b"az", follow_redirects=True)

    assert answer.json() == {"length": 2, "ends": "az"}


async def test_busy_routes_are_described(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]

    assert paths["/length"]["post"]["requestBody"]
    assert paths["/length"]["post"]["tags"] == ["test"]
    assert {each["name"] for each in paths["/v2/models/{name}/versions/{version}/infer"]["post"]["parameters"]} >= {
        "name",
        "version",
    }


@WITH_CORS
@pytest.mark.parametrize("path", ["/length", "/refuse"])
async def test_busy_routes_pass_the_middleware_that_was_added(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, headers={"origin": ORIGIN})
    preflight = await client.options(path, headers={"origin": ORIGIN, "access-control-request-method": "POST"})

    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert preflight.status_code == 200


@pytest.mark.parametrize("path", ["/length", "/quiet"])
async def test_a_server_that_drains_says_so_once(
    client: httpx.AsyncClient, dataplane: VisionDataPlane, path: str
) -> None:
    dataplane.draining = True
    answer = await client.request("GET" if path == "/quiet" else "POST", path)

    assert answer.headers.get_list("connection") == ["close"]


@pytest.mark.parametrize("size", [0, 1, 100_000, MAX_UNREAD_BYTES + 1, 3 * MIB, LIMIT])
async def test_a_body_of_any_length_arrives_whole(client: httpx.AsyncClient, size: int) -> None:
    answer = await client.post("/length", content=b"a" * (size - 1) + b"z" if size else b"")

    assert answer.json() == {"length": size, "ends": {0: "", 1: "zz"}.get(size, "az")}


async def test_a_body_in_many_small_parts_arrives_whole(port: int) -> None:
    head = b"POST /length HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"1\r\na\r\n" * 20_000

    received = await exchanged(port, head, chunk, chunk, b"2\r\nzz\r\n0\r\n\r\n")

    assert received.endswith(b'{"length":40002,"ends":"az"}')


async def test_a_body_over_the_limit_is_refused_before_its_end(port: int) -> None:
    head = b"POST /length HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"

    received = await exchanged(port, head, b"%x\r\n" % (2 * LIMIT), bytes(LIMIT + 1))

    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in received


def held_bytes(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("kserve_vision_body_bytes")


async def sending(port: int, stated: int, sent: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and send a head and some of its body; where no length is stated, in one chunk that does not end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    how = b"content-length: %d" % stated if stated else b"transfer-encoding: chunked"
    writer.write(b"POST /length HTTP/1.1\r\nhost: h\r\n%b\r\n\r\n" % how)
    writer.write((b"" if stated else b"%x\r\n" % LIMIT) + b"a" * sent)
    await writer.drain()
    return reader, writer


async def until_held(metrics: Metrics, size: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while held_bytes(metrics) != size:  # noqa: ASYNC110  # a gauge tells nobody
            await asyncio.sleep(0.01)


async def test_bodies_are_bounded_together(port: int, metrics: Metrics) -> None:
    connections = [await sending(port, LIMIT, 7 * MIB) for _ in range(2)]
    await until_held(metrics, 14 * MIB)

    refused, refused_writer = await sending(port, 7 * MIB, 0)
    assert (await refused.readline()).startswith(b"HTTP/1.1 429 ")
    small, small_writer = await sending(port, 5 * MIB, 5 * MIB)
    assert (await small.readline()) == b"HTTP/1.1 200 OK\r\n"

    for reader, writer in connections:
        writer.write(b"a" * MIB)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    await until_held(metrics, 0)
    for writer in (refused_writer, small_writer, *(each for _, each in connections)):
        writer.close()


async def test_of_bodies_of_unknown_length_the_one_that_meets_the_bound_is_refused(port: int, metrics: Metrics) -> None:
    connections = [await sending(port, 0, 7 * MIB) for _ in range(2)]
    await until_held(metrics, 14 * MIB)

    refused, refused_writer = await sending(port, 0, 7 * MIB)
    answer = await refused.readuntil(b"\r\n\r\n") + await refused.readuntil(b"}")
    await until_held(metrics, 14 * MIB)

    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"OVERLOADED" in answer
    assert b"(MAX_QUEUE_MB)" in answer
    assert metrics.rejected.labels("", "", "mb")._value.get() == 1
    for _, writer in connections:
        writer.close()
    await until_held(metrics, 0)
    refused_writer.close()


async def test_a_body_over_the_bound_of_all_is_too_large_rather_than_too_many(metrics: Metrics) -> None:
    bodies = Bodies(LIMIT, MIB, metrics)
    scope = {
        "type": "http",
        "headers": [],
        "state": {"call": Call("1", "http"), "headers": {"content-length": "2000000"}},
    }

    with pytest.raises(RequestTooLarge, match="1048576"):
        await bodies.read(Request(scope))


@STRAIGHT
async def test_an_answer_leaves_in_one_write(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    transport: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
    write = transport.write

    def noting(self: Any, data: bytes) -> None:
        written.append(bytes(data))
        write(self, data)

    monkeypatch.setattr(transport, "write", noting)
    answer = await client.post("/length", content=b"az")

    assert answer.json() == {"length": 2, "ends": "az"}
    assert [piece for piece in written if b"ends" in piece or piece.startswith(b"HTTP/1.1 200")] == [written[-1]]


@pytest.mark.parametrize("port", list(LAYERS), indirect=True)
async def test_a_layer_that_reads_a_body_leaves_it_to_the_route(client: httpx.AsyncClient) -> None:
    answer = await client.post("/length", content=b"abcz")

    assert answer.json() == {"length": 4, "ends": "az"}


@pytest.mark.parametrize("path", ["/length", "/refuse"])
async def test_nothing_of_a_request_is_left_for_the_garbage_collector(client: httpx.AsyncClient, path: str) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await client.post(path, content=bytes(100_000))
        left = sum(isinstance(each, RequestResponseCycle) for each in gc.get_objects())
    finally:
        gc.enable()

    assert left <= 2  # the connection's last one


async def test_a_client_that_goes_while_it_is_answered_is_no_fault(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end
        connection.sendall(3 * b"POST /big HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n")
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.1)

    assert not caplog.records


async def test_an_answer_in_parts_arrives_whole(client: httpx.AsyncClient) -> None:
    assert (await client.post("/stream")).text == "one two three"


async def test_an_answer_without_a_body_arrives(client: httpx.AsyncClient) -> None:
    assert (await client.head("/length")).status_code == 405


async def test_who_asks_whether_to_send_the_body_is_told(port: int) -> None:
    head = b"POST /length HTTP/1.1\r\nhost: h\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"

    received = await exchanged(port, head, b"az")

    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert received.endswith(b'{"length":2,"ends":"az"}')


async def test_pipelined_requests_are_answered_in_their_order(port: int) -> None:
    request = b"POST /v2/models/%d/infer HTTP/1.1\r\nhost: h\r\n%b\r\n"

    received = await exchanged(port, *(request % (n, b"connection: close\r\n" * (n == 9)) for n in range(10)))

    assert [part[:1] for part in received.split(b'{"name":"')[1:]] == [b"%d" % n for n in range(10)]
