"""The REST door: uvicorn and FastAPI under the SDK's RESTServer, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.call import Call
from serving.errors import (
    ContentTypeUnsupported,
    MethodNotAllowed,
    RequestInvalid,
    RequestTooLarge,
    RouteNotFound,
    ServingError,
)
from serving.sdk import RESTServer
from serving.server.answers import json_response
from serving.server.dataplane import VisionDataPlane
from serving.server.observe import report_unforeseen
from serving.settings import ServerSettings

LAST_REQUESTS_S = 0.25
"""Seconds between the last connection that is accepted and the closing of the idle ones: more than a request needs from
a client's socket to ours."""


class Edge:
    """The outermost layer: makes the request's `Call`, turns errors into answers, and puts the request id on both.

    Pure ASGI, since Starlette's BaseHTTPMiddleware adds a task and a queue to every request.
    """

    def __init__(self, app: ASGIApp, dataplane: VisionDataPlane) -> None:
        self._app = app
        self._dataplane = dataplane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        call = Call.from_headers(headers, protocol_of(scope["path"]))
        scope.setdefault("state", {})["call"] = call
        answered = False

        async def send_with_id(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                outgoing = MutableHeaders(scope=message)
                outgoing.update(call.id_headers)
                if self._dataplane.draining:
                    # Tells a keep-alive client to come back elsewhere before the door closes on it.
                    outgoing["connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            return
        except ServingError as error:
            await error_response(error, call)(scope, receive, send_with_id)
        except Exception as error:
            unforeseen = report_unforeseen(call, error)
            if answered:
                raise
            await error_response(unforeseen, call)(scope, receive, send_with_id)


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
        self.config.access_log = False
        self.config.server_header = False
        self._server = QuietUvicorn(self.config)
        self._socket = _listen(settings.host, settings.http_port)

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


class QuietUvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers: the server's life decides when the door closes."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, read what was sent on the accepted ones, and then shut down as uvicorn does.

        Uvicorn itself closes a connection whose request has not been read yet, and the request is lost.
        """
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_REQUESTS_S)
        await super().shutdown(sockets)


def make_app(title: str, version: str, dataplane: VisionDataPlane) -> FastAPI:
    """Make an application whose errors all leave through `Edge`."""
    app = FastAPI(title=title, version=version, docs_url="/docs", redoc_url=None)
    app.add_exception_handler(HTTPException, _name_http_error)
    app.add_exception_handler(RequestValidationError, _name_validation_error)
    app.add_middleware(Edge, dataplane=dataplane)
    return app


def protocol_of(path: str) -> str:
    """Return the protocol that a path belongs to, as metrics and logs name it."""
    if path.startswith("/v2"):
        return "v2-rest"
    return "v1-rest" if path.startswith("/v1") else "http"


def call_of(request: Request) -> Call:
    """Return the call that `Edge` made of this request."""
    call: Call = request.state.call
    return call


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body to its end, as long as it stays within `limit` bytes.

    Raises:
        ContentTypeUnsupported: the body is compressed. It is not unpacked: a small bomb would fill the memory.
        RequestTooLarge: the body is, or says it is, over the limit.
    """
    check_encoding(request.headers)
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def check_encoding(headers: Headers) -> None:
    """Raise `ContentTypeUnsupported` for a compressed body."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise ContentTypeUnsupported(
            f"the content encoding {encoding:.40} is not read: send the body as it is; pictures are compressed already"
        )


def error_response(error: ServingError, call: Call) -> ASGIApp:
    """Return an error as its protocol's body, with its status."""
    headers = {} if error.retry_after_s is None else {"retry-after": str(math.ceil(error.retry_after_s))}
    if call.protocol == "http":
        body: dict[str, object] = {
            "success": False,
            "error": {
                "code": error.code,
                "message": error.message,
                "request_id": call.request_id,
                "details": error.details,
            },
        }
    else:
        body = {"error": str(error)}
    return json_response(body, status=error.http_status, headers=headers)


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body is larger than {limit} bytes, the limit of this server", limit_bytes=limit)


def _name_http_error(request: Request, error: Exception) -> NoReturn:
    """Give the framework's own refusals their place in the error tree."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it
    route = f"{request.method} {request.url.path}"
    match error.status_code:
        case MethodNotAllowed.http_status:
            allowed = (error.headers or {}).get("Allow", "")
            raise MethodNotAllowed(f"{route:.200}: the method is not one of {allowed}") from error
        case RouteNotFound.http_status:
            raise RouteNotFound(f"{route:.200}: there is no such route; /docs lists them") from error
        case _:
            raise RequestInvalid(str(error.detail)) from error


def _name_validation_error(_: Request, error: Exception) -> NoReturn:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for it
    faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    raise RequestInvalid(faults) from error


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener
