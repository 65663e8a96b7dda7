"""A kubelet's HTTPS port, for logs and forwarded ports: the API server asks it as it asks a real one."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

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
    context = _tls(cluster, name)

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
        try:
            with _node(cluster, name, server.socket.getsockname()[1]):
                yield
        finally:
            server.shutdown()


class PlayedLog:
    """A container's log that grows, as a kubelet streams it."""

    def __init__(self, *, has_started: bool = True) -> None:
        self.has_started = has_started
        """Else the kubelet refuses it."""
        self._changed = threading.Condition()
        self._lines: list[tuple[str, str]] = []
        self._has_ended = False
        self._breaks = 0
        self.asked: list[Mapping[str, list[str]]] = []
        """The queries of those who read it."""

    def write(self, text: str) -> None:
        """The container writes a line; several have the same second."""
        with self._changed:
            self._lines.append((f"2026-01-01T00:00:00.{len(self._lines):09}Z", text))
            self._changed.notify_all()

    def end(self) -> None:
        """The container ends."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """The kubelet ends all connections."""
        with self._changed:
            self._breaks += 1
            self._changed.notify_all()

    def stream(self, query: Mapping[str, list[str]]) -> Iterator[str]:
        """What a kubelet answers; it follows, and stamps its lines.

        Raises:
            ConnectionAbortedError: it broke off.
        """
        self.asked.append(query)
        since = query.get("sinceTime", [""])[0][:19]  # kubelets are asked for whole seconds
        begun, given = self._breaks, 0
        while True:
            with self._changed:
                while not self._has_ended and self._breaks == begun and given == len(self._lines):
                    self._changed.wait()
                if self._breaks > begun:
                    raise ConnectionAbortedError
                fresh = self._lines[given:]
            if not fresh:
                return
            given += len(fresh)
            yield from (f"{stamp} {text}\n" for stamp, text in fresh if stamp[:19] >= since)


@contextlib.contextmanager
def following_kubelet(cluster: Cluster, name: str, logs: Mapping[str, PlayedLog]) -> Iterator[None]:
    """A node `name` whose kubelet streams these logs, by the container's name."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            container = asked.path.rpartition("/")[2]
            if not logs[container].has_started:
                self._refuse(f'container "{container}" in pod "demo" is waiting to start: PodInitializing')
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for line in logs[container].stream(parse_qs(asked.query)):
                    self.wfile.write(f"{len(line):x}\r\n{line}\r\n".encode())
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True

        def _refuse(self, text: str) -> None:
            self.send_response(HTTPStatus.BAD_REQUEST)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        server.daemon_threads = True
        server.socket = _tls(cluster, name).wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with _node(cluster, name, server.server_port):
                yield
        finally:
            for each in logs.values():
                each.end()
            server.shutdown()


def _tls(cluster: Cluster, name: str) -> ssl.SSLContext:
    pair = cluster.plane.authority.serving_pair(cluster.plane.folder, f"kubelet-{name}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@contextlib.contextmanager
def _node(cluster: Cluster, name: str, port: int) -> Iterator[None]:
    """A node whose kubelet listens on a port of this machine."""
    cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    addresses = [{"type": "InternalIP", "address": HOST}]
    status = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    cluster.patch(NODE, name, "", {"status": status}, "status")
    try:
        yield
    finally:
        cluster.delete(NODE, name, "")


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
