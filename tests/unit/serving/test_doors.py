"""The doors of a server: what is left when one of them cannot be opened, and how the last connections are taken."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from starlette.responses import Response

from serving.metrics import Metrics
from serving.server.life import VisionServer
from serving.server.rest import PortTaken
from serving.server.tcp import accept_all, drop_new, listen_tcp
from serving.settings import ServerSettings

from .idle import Idle

HOST = "127.0.0.1"
PATIENCE_S = 20.0


def server(folder: Path, grpc_port: int, unix_socket: Path, http_port: int = 0) -> VisionServer:
    (folder / "model.yaml").write_text("opens")
    settings = ServerSettings(
        model_dir=folder, host=HOST, http_port=http_port, grpc_port=grpc_port, unix_socket=unix_socket
    )
    return VisionServer(settings, Metrics("test"), "test", Idle)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


async def test_where_grpc_cannot_listen_nothing_is_left_of_rest(tmp_path: Path) -> None:
    unix_socket = Path(f"/tmp/{os.getpid()}-doors.sock")
    http_port = free_port()
    with socket.create_server((HOST, 0)) as taken, pytest.raises(PortTaken, match="gRPC cannot listen") as caught:
        await server(tmp_path, taken.getsockname()[1], unix_socket, http_port).serve()

    assert caught.value.__traceback__ is not None  # it holds the server, which did not close its doors by being gone
    assert not unix_socket.exists()  # noqa: ASYNC240  # nothing else runs here
    with socket.socket() as client:
        assert client.connect_ex((HOST, http_port)) != 0


async def test_where_the_unix_socket_cannot_be_nobody_listens_on_the_port(tmp_path: Path) -> None:
    http_port = free_port()
    with pytest.raises(PortTaken, match="UNIX_SOCKET chooses another path") as caught:
        await server(tmp_path, 0, Path("/proc/nowhere/p.sock"), http_port).serve()

    assert caught.value.__traceback__ is not None
    with socket.socket() as client:
        assert client.connect_ex((HOST, http_port)) != 0


@contextmanager
def no_more_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_without_files_left_ends_with_the_connections_that_it_has() -> None:
    with socket.create_server((HOST, 0)) as listener, socket.create_connection(listener.getsockname()):
        with no_more_files():
            assert list(accept_all(listener)) == []
        (connection,) = accept_all(listener)
        with closing(connection):
            assert connection.gettimeout() == 0


@pytest.mark.parametrize("host", [HOST, "::1"])
def test_whoever_has_connected_is_served_and_nobody_connects_any_more(host: str) -> None:
    listener = listen_tcp(host, 0, backlog=8)
    address = listener.getsockname()[:2]
    with listener, socket.create_connection(address) as early:
        drop_new(listener)
        early.sendall(b"sent after it")
        with pytest.raises(TimeoutError):
            socket.create_connection(address, timeout=0.2)
        (connection,) = accept_all(listener)
        listener.close()
        with closing(connection):
            assert connection.recv(64) == b"sent after it"
            connection.sendall(b"answered")
        assert early.recv(64) == b"answered"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


async def test_a_client_that_takes_nothing_of_its_answer_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.server.tcp.UNREAD_ANSWER_S", 1)
    served = server(tmp_path, 0, Path(f"/tmp/{os.getpid()}-doors.sock"), port := free_port())

    @served.app.get("/large")
    async def large() -> Response:
        return Response(bytes(64 * 2**20))

    serving = asyncio.create_task(served.serve())
    with socket.socket() as client:
        client.settimeout(0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await connect(client, port)
        await asyncio.get_running_loop().sock_sendall(client, b"GET /large HTTP/1.1\r\nhost: h\r\n\r\n")
        await until(lambda: connections(port) == 1)
        await until(lambda: connections(port) == 0)
    served.stop(signal.SIGINT)
    await serving


def connections(port: int) -> int:
    """How many connections to a port are open on the server's side."""
    here = (each for each in psutil.net_connections("tcp") if each.pid == os.getpid() and each.laddr)
    return sum(each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED for each in here)


async def connect(client: socket.socket, port: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while client.connect_ex((HOST, port)) not in (0, errno.EISCONN):  # noqa: ASYNC110  # it may not listen yet
            await asyncio.sleep(0.02)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():  # noqa: ASYNC110  # the kernel tells nobody
            await asyncio.sleep(0.02)
