"""A Unix socket to listen on: its file is made, replaced and removed so that there is one owner at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MAX_PATH_BYTES: Final = 107
"""The longest path of a Unix socket on Linux, `sun_path` less its end."""

LOCK_TRIES: Final = 20
LOCK_PAUSE_S: Final = 0.01


class UnixListener:
    """A listening Unix socket and its file."""

    def __init__(self, path: Path, mode: int, backlog: int) -> None:
        """Listen on `path`. A file that a dead server left behind is replaced.

        Raises:
            OSError: a server is listening there, something else has that name, the folder cannot be written, or another
                process holds its lock.
        """
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise OSError(errno.ENAMETOOLONG, f"the path is longer than {MAX_PATH_BYTES} bytes")
        self._path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Of two servers that start at once, the second sees the first one's socket when it is listening already.
            with _locked(path.parent):
                _remove_if_dead(path)
                self.socket.bind(str(path))
                path.chmod(mode)
                self.socket.listen(backlog)
                self._inode = path.stat().st_ino
        except OSError:
            self.socket.close()
            raise

    def remove(self) -> None:
        """Remove the file, unless it is another server's by now. The socket must still be open: so long no other file
        can have its inode.
        """
        try:
            with _locked(self._path.parent):
                if self._path.stat().st_ino == self._inode:
                    self._path.unlink()
        except OSError:
            return  # it is gone, or its folder is


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Take a folder's lock. Servers hold it for a moment; whoever holds it longer must not hold the event loop up."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_S)
        else:
            return
    raise OSError(errno.EWOULDBLOCK, "another process holds the lock of its folder")


def _remove_if_dead(path: Path) -> None:
    """Remove a socket's file that nobody listens on.

    Raises:
        OSError: somebody does, or it is no socket.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is a file of that name that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # it listens, and its backlog is full
    raise OSError(errno.EADDRINUSE, "another server is listening there")
