from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from serving.server.unix import MAX_PATH_BYTES, UnixListener

MODE = 0o640


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A path that is short enough, whatever the length of the test's name."""
    short = Path(f"/tmp/{os.getpid()}-{tmp_path.name[-10:]}.sock")
    yield short
    short.unlink(missing_ok=True)


@contextmanager
def closing_descriptor(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def listen(path: Path) -> UnixListener:
    return UnixListener(path, MODE, backlog=100)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_a_listener_takes_connections_under_its_mode_and_leaves_no_file(path: Path) -> None:
    listener = listen(path)
    with closing(listener.socket):
        assert connects(path)
        assert stat.S_IMODE(path.stat().st_mode) == MODE
        listener.remove()

    assert not path.exists()


def test_a_file_that_a_dead_server_left_is_replaced(path: Path) -> None:
    listen(path).socket.close()
    assert path.exists()

    with closing(listen(path).socket):
        assert connects(path)


def test_a_server_that_listens_is_not_replaced(path: Path) -> None:
    with closing(listen(path).socket) as first:
        with pytest.raises(OSError, match="another server is listening there") as caught:
            listen(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert connects(path)
        first.accept()[0].close()  # the probe's
        first.accept()[0].close()


def test_a_server_whose_backlog_is_full_is_alive(path: Path) -> None:
    with closing(UnixListener(path, MODE, backlog=0).socket):
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(str(path))
        with closing(waiting), pytest.raises(OSError, match="another server is listening there"):
            listen(path)


def test_of_servers_that_start_at_once_one_listens(path: Path) -> None:
    listen(path).socket.close()

    def start(_: int) -> UnixListener | None:
        try:
            return listen(path)
        except OSError:
            return None

    with ThreadPool(16) as threads:
        (winner,) = [each for each in threads.map(start, range(16)) if each is not None]
    with closing(winner.socket):
        assert connects(path)


def test_a_folder_that_somebody_else_locks_is_told(tmp_path: Path) -> None:
    with closing_descriptor(tmp_path) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process holds the lock of its folder"):
            listen(tmp_path / "p.sock")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")

    with pytest.raises(OSError, match="no socket"):
        listen(path)
    assert path.read_text() == "precious"


def test_a_file_that_is_another_servers_by_now_is_left_alone(path: Path) -> None:
    first = listen(path)
    path.unlink()
    with closing(first.socket), closing(listen(path).socket):
        first.remove()
        assert connects(path)


def test_a_file_that_is_gone_already_is_no_trouble(path: Path) -> None:
    listener = listen(path)
    with closing(listener.socket):
        path.unlink()
        listener.remove()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("/tmp/" + "a" * MAX_PATH_BYTES, errno.ENAMETOOLONG),
        ("/tmp/" + "ä" * (MAX_PATH_BYTES // 2), errno.ENAMETOOLONG),
        ("/proc/nowhere/p.sock", errno.ENOENT),
        ("/etc/hostname/p.sock", errno.ENOTDIR),
    ],
)
def test_a_path_that_cannot_be_is_told(name: str, number: int) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number says which
        listen(Path(name))

    assert caught.value.errno == number


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(PermissionError):
        listen(tmp_path / "p.sock")
