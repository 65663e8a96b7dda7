"""The REST door: uvicorn under the SDK's RESTServer, with a socket of its own and an orderly close."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from serving.sdk import RESTServer
from serving.server.dataplane import VisionDataPlane
from serving.server.http import BoundedHttp
from serving.server.tcp import accept_all, drop_new, listen_tcp
from serving.server.unix import UnixListener
from serving.settings import ServerSettings

LAST_REQUESTS_S = 1.0
"""Seconds that connections have to send their first request once no more are accepted."""

HANDSHAKES_S = 0.1
"""Seconds that connections have to be made that have begun when no new ones may; most networks' round trips."""

POLL_S = 0.01

BACKLOG = 2048
"""Connections that the kernel holds while the event loop is busy; uvicorn's own number."""


class PortTaken(OSError):
    """A door cannot be opened where the settings say."""


class RestDoor(RESTServer):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's REST server with an application and a socket of its own.

    The SDK's serves one application per process that was made at import, on all addresses, with signal handlers that
    close the door before anything can drain.
    """

    def __init__(self, app: FastAPI, dataplane: VisionDataPlane, settings: ServerSettings) -> None:
        super().__init__(
            app,
            dataplane,
            None,
            settings.http_port,
            grace_period=math.ceil(settings.drain_timeout_seconds),
            event_loop="auto",
            timeout_keep_alive=settings.timeout_keep_alive,
            ssl_certfile=settings.ssl_certfile and str(settings.ssl_certfile),
            ssl_keyfile=settings.ssl_keyfile and str(settings.ssl_keyfile),
        )
        self.config.host = settings.host
        self.config.lifespan = "off"
        self.config.ws = "none"
        self.config.http = BoundedHttp
        self.config.access_log = False
        self.config.proxy_headers = False
        self.config.server_header = False
        self._socket = _listen(settings.host, settings.http_port)
        self._unix = None
        if settings.unix_socket is not None:
            try:
                self._unix = _listen_unix(settings.unix_socket, settings.unix_socket_mode)
            except PortTaken:
                self._socket.close()
                raise
        self._server = QuietUvicorn(self.config, self._unix)

    @property
    def port(self) -> int:
        """The port that was bound."""
        port: int = self._socket.getsockname()[1]
        return port

    async def serve(self) -> None:
        """Serve until `close`."""
        await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        """Take no new connections, and let `serve` return when the open requests are answered."""
        self._server.should_exit = True

    def abandon(self) -> None:
        """Listen no longer, where `serve` was never called."""
        self._socket.close()
        if self._unix is not None:
            self._unix.remove()
            self._unix.socket.close()


class QuietUvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers: the server's life decides when the door closes.

    It serves a Unix socket too, if there is one, which is never encrypted: its file's mode says who may connect.
    """

    def __init__(self, config: uvicorn.Config, unix: UnixListener | None = None) -> None:
        super().__init__(config)
        self._unix = unix

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup(sockets)
        if self._unix is not None:
            loop = asyncio.get_running_loop()
            self.servers.append(await loop.create_unix_server(self._protocol, sock=self._unix.socket, backlog=BACKLOG))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept what has connected and nothing more, wait for its requests, and then shut down as uvicorn does.

        Uvicorn itself resets the connections that the kernel holds for it, and closes those whose request it has not
        read yet.
        """
        listeners = list(sockets or ())
        for listener in listeners:
            drop_new(listener)
        await asyncio.sleep(HANDSHAKES_S)  # what has arrived on connections that have served is read too
        if self._unix is not None:
            self._unix.remove()
            listeners.append(self._unix.socket)
        connected = [each for listener in listeners for each in accept_all(listener)]
        for server in self.servers:
            server.close()
        for each in connected:
            tls = None if each.family == socket.AF_UNIX else self.config.ssl
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, each, ssl=tls)
        try:
            async with asyncio.timeout(LAST_REQUESTS_S):
                while any(getattr(each, "cycle", None) is None for each in self.server_state.connections):  # noqa: ASYNC110  # uvicorn tells nobody of a request
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            pass  # a connection without a request, such as a probe's
        await super().shutdown(listeners)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen_tcp(host, port, BACKLOG)
    except OSError as error:
        raise PortTaken(
            f"REST cannot listen on {host}:{port}: {error.strerror}; HTTP_PORT chooses another port"
        ) from error


def _listen_unix(path: Path, mode: str) -> UnixListener:
    try:
        return UnixListener(path, int(mode, 8), BACKLOG)
    except OSError as error:
        raise PortTaken(
            f"REST cannot listen on {path}: {error.strerror or error}; UNIX_SOCKET chooses another path"
        ) from error
