"""A port of a pod on this machine, through the API server: where no gateway can be reached from here."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

from rollout import Rejected
from rollout.connection import Connection

HOST: Final = "127.0.0.1"
CHUNK: Final = 65536
PATIENCE_S: Final = 5.0


@contextlib.contextmanager
def forwarded(connection: Connection, namespace: str, pod: str, port: int) -> Iterator[int]:
    """Listen on a free port of loopback, and pass each connection on to a pod's port; gives the port.

    Raises:
        Rejected: the API server does not open the way.
    """
    # What is wrong is said before anybody connects.
    _leave(connection.open_port(namespace, pod, port))
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, connection, namespace, pod, port), daemon=True).start()
        yield listener.getsockname()[1]


def _leave(way: Any) -> None:
    """End a way that nobody uses. What a gRPC server sends by itself is read: unread, it fails the client's thread."""
    with contextlib.closing(way), contextlib.suppress(OSError):
        way.settimeout(PATIENCE_S)
        way.shutdown(socket.SHUT_WR)
        while way.recv(CHUNK):
            pass


def _accept(listener: socket.socket, connection: Connection, namespace: str, pod: str, port: int) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:  # the listener was closed
            return
        try:
            far = connection.open_port(namespace, pod, port)
        except Rejected:
            near.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.close()
