"""A kubelet's HTTPS port, for logs and forwarded ports: the API server asks it as it asks a real one."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.cluster.cluster import Cluster
from tests.cluster.daemons import HOST
from tests.cluster.kinds import NODE

CHANNELS: Final = "v4.channel.k8s.io"
DATA, ERROR = b"\x00", b"\x01"
CHUNK: Final = 65536
_LOG: Final = re.compile(
    r"/containerLogs/[^/]+/[^/]+/(?P<container>[^?]+)\?(?P<query>.*)|/containerLogs/[^/]+/[^/]+/(?P<only>[^?]+)"
)


@contextlib.contextmanager
def kubelet(
    cluster: Cluster, name: str, logs: Mapping[str, str] | None = None, ports: Mapping[int, int] | None = None
) -> Iterator[None]:
    """A node `name` whose kubelet has these logs, by the container's name (`NAME!` is of the one before), and leads a
    pod's ports to ports of this machine.
    """
    pair = cluster.plane.authority.serving_pair(cluster.plane.folder, f"kubelet-{name}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)

    def log(_connection: ServerConnection, request: Request) -> Response | None:
        if not (asked := _LOG.match(request.path)):
            return None
        container = asked["container"] or asked["only"]
        before = "!" if "previous=true" in (asked["query"] or "") else ""
        text = (logs or {}).get(container + before)
        if text is None:
            return _response(HTTPStatus.BAD_REQUEST, f'previous terminated container "{container}" not found')
        return _response(HTTPStatus.OK, text)

    def forward(connection: ServerConnection) -> None:
        assert connection.request is not None
        _forward(connection, ports or {}, connection.request.path)

    with serve(forward, HOST, 0, ssl=context, process_request=log, subprotocols=[CHANNELS]) as server:  # type: ignore[list-item]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        port = server.socket.getsockname()[1]
        addresses = [{"type": "InternalIP", "address": HOST}]
        status = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
        cluster.patch(NODE, name, "", {"status": status}, "status")
        try:
            yield
        finally:
            cluster.delete(NODE, name, "")
            server.shutdown()


def _response(status: HTTPStatus, text: str) -> Response:
    body = text.encode()
    headers = Headers({"Content-Type": "text/plain", "Content-Length": str(len(body)), "Connection": "close"})
    return Response(status.value, status.phrase, headers, body)


def _forward(connection: ServerConnection, ports: Mapping[int, int], path: str) -> None:
    """Pass one port's bytes on: channel 0 is its data, 1 its errors; both begin with the port's number."""
    match = re.search(r"port(?:s)?=(\d+)", path)
    wanted = int(match[1]) if match else 0
    for channel in (DATA, ERROR):
        connection.send(channel + wanted.to_bytes(2, "little"))
    if wanted not in ports:
        connection.send(ERROR + f"nobody listens on port {wanted}".encode())
        return
    with socket.create_connection((HOST, ports[wanted])) as target:
        back = threading.Thread(target=_send_back, args=(target, connection), daemon=True)
        back.start()
        with contextlib.suppress(ConnectionClosed, OSError):
            for message in connection:
                assert isinstance(message, bytes)
                target.sendall(message[1:])
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        back.join(5)


def _send_back(target: socket.socket, connection: Any) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        while chunk := target.recv(CHUNK):
            connection.send(DATA + chunk)
        connection.close()
