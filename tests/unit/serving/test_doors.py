"""The doors of a server: what is left when one of them cannot be opened, and how the last connections are taken."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from serving.metrics import Metrics
from serving.server.life import VisionServer
from serving.server.rest import PortTaken, _accept_all
from serving.settings import ServerSettings

from .idle import Idle

HOST = "127.0.0.1"


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
        await server(tmp_path, 0, Path("/nowhere/p.sock"), http_port).serve()

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
            assert list(_accept_all(listener)) == []
        (connection,) = _accept_all(listener)
        with closing(connection):
            assert connection.gettimeout() == 0
