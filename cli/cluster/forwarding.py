"""A port of a pod on this machine, through the API server: where no gateway can be reached from here."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward

from cli.cluster.connection import Connection
from cli.cluster.faults import ClusterFault

HOST: Final = "127.0.0.1"
CHUNK: Final = 65536


class NotForwarded(ClusterFault):
    """The API server opens no way to the pod's port."""


@contextlib.contextmanager
def forwarded(connection: Connection, pod: str, port: int) -> Iterator[int]:
    """Listen on a free port of loopback, and pass each connection on to a pod's port; gives the port.

    Raises:
        NotForwarded: the API server does not open the way.
    """
    _open(connection, pod, port).close()  # what is wrong is said before anybody connects
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, connection, pod, port), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, connection: Connection, pod: str, port: int) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:  # the listener was closed
            return
        try:
            far = _open(connection, pod, port)
        except NotForwarded:
            near.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _open(connection: Connection, pod: str, port: int) -> Any:
    if connection.acts_as_another:  # the client forwards with the rights of who acts
        raise NotForwarded("the kubeconfig acts as another user (`as`), for whom no port is forwarded: give --address")
    ask = client.CoreV1Api(connection.api).connect_get_namespaced_pod_portforward
    try:
        return portforward(ask, pod, connection.namespace, ports=str(port)).socket(port)
    except ApiException as error:
        raise NotForwarded(f"port {port} of pod {pod} cannot be forwarded: {error.reason}") from error


def _pump(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.close()
