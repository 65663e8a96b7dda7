"""A predictor on a Unix socket: who finds it, and what is left of it."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.servers import HOST, MODEL, RunningPair, RunningServer, running_server

from .doors import Client, raw_body

PATIENCE_S = 30.0


@pytest.fixture
def path() -> Iterator[Path]:
    """A path that is short enough for a socket."""
    with TemporaryDirectory() as folder:
        yield Path(folder) / "predictor.sock"


def ask(path: Path) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        return client.get("http://localhost/v2/health/live")


def flags_of(model_dir: Path, path: Path) -> list[str]:
    return [f"--model_dir={model_dir}", f"--unix_socket={path}", "--unix_socket_mode=0600"]


def end_of(flags: list[str]) -> subprocess.CompletedProcess[str]:
    """Start a predictor that cannot, and wait for its end."""
    ports = ["--http_port=0", "--grpc_port=0"]
    return subprocess.run(
        [sys.executable, "-m", "predictor", f"--host={HOST}", f"--model_name={MODEL}", *ports, *flags],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_transformer_asks_its_predictor_there_and_the_file_goes_with_the_server(
    model_dir: Path, path: Path, cat: bytes
) -> None:
    with running_server("predictor", flags_of(model_dir, path)) as predictor:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with running_server("transformer", [f"--model_dir={model_dir}", f"--predictor_host=unix://{path}"]) as server:
            client = Client(server)
            assert raw_body(client, cat).label == "tiger cat"
            client.close()
        assert ask(path).is_success
        assert predictor.process.stop() == 0

    assert not path.exists()
    assert "Traceback" not in predictor.log.text()


def test_a_server_that_was_killed_is_replaced(model_dir: Path, path: Path) -> None:
    with running_server("predictor", flags_of(model_dir, path), ready=False) as killed:
        killed.process._process.kill()
        killed.process._process.wait(PATIENCE_S)
    assert path.exists()

    with running_server("predictor", flags_of(model_dir, path), ready=False):
        assert ask(path).is_success


def test_a_server_that_runs_is_not_replaced(model_dir: Path, path: Path) -> None:
    with running_server("predictor", flags_of(model_dir, path), ready=False):
        ended = end_of(flags_of(model_dir, path))
        assert ask(path).is_success

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line == (
        f"predictor: REST cannot listen on {path}: another server is listening there; UNIX_SOCKET chooses another path"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a" * 110, "the path is longer than 107 bytes"),
        ("nowhere/p.sock", "No such file or directory"),
        ("", "there is a file of that name that is no socket"),
    ],
)
def test_a_path_that_cannot_be_ends_with_one_clear_line(model_dir: Path, path: Path, name: str, reason: str) -> None:
    ended = end_of(flags_of(model_dir, path.parent / name))

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert f"cannot listen on {path.parent / name}: {reason}" in line


def test_a_mode_that_is_none_is_told() -> None:
    ended = end_of(["--unix_socket=/tmp/p.sock", "--unix_socket_mode=rw"])

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "unix_socket_mode" in ended.stderr


def test_the_pairs_socket_lies_in_a_folder_of_the_users_own(pair: RunningPair) -> None:
    flags = Path(f"/proc/{pair.predictor.process.pid}/cmdline").read_bytes().split(b"\0")
    (path,) = [flag.partition(b"=")[2] for flag in flags if flag.startswith(b"--unix_socket=")]

    assert stat.S_IMODE(Path(path.decode()).parent.stat().st_mode) == 0o700


def connections_of(server: RunningServer) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_requests_leave_no_connections_behind(pair: RunningPair, client: Client, cat: bytes) -> None:
    for _ in range(3):
        raw_body(client, cat)
    before = connections_of(pair.predictor), connections_of(pair.transformer)
    for _ in range(20):
        raw_body(client, cat)

    after = connections_of(pair.predictor), connections_of(pair.transformer)
    assert all(now <= then for now, then in zip(after, before, strict=True))
