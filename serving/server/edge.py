"""The edge of every REST request: its `Call` on the way in, its id on the way out, and errors as answers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.call import REQUEST_ID_HEADERS, Call
from serving.errors import (
    DeadlineExceeded,
    MethodNotAllowed,
    RequestInvalid,
    RequestTooLarge,
    RouteNotFound,
    ServingError,
)
from serving.server.answers import json_response
from serving.server.busy import BusyRoute, BusyRouter, answer_busy, choose_handler, is_abandoned
from serving.server.dataplane import VisionDataPlane
from serving.server.observe import report_unforeseen

RawHeaders = Iterable[tuple[bytes, bytes]]

_CLOSE: Final = (b"connection", b"close")
_ID_HEADERS: Final = tuple(name.encode() for name in REQUEST_ID_HEADERS)


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
        headers = _headers(scope)
        call = Call.from_headers(headers, protocol_of(scope["path"]))
        state = scope.setdefault("state", {})
        state["call"], state["headers"] = call, headers
        answered = False

        async def send_with_id(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                message["headers"] = self._with_id(message["headers"], call)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            if not is_abandoned(scope):
                raise
        except ServingError as error:
            await error_response(error, call)(scope, receive, send_with_id)
        except Exception as error:
            unforeseen = report_unforeseen(call, error)
            if answered:
                raise
            await error_response(unforeseen, call)(scope, receive, send_with_id)

    def _with_id(self, headers: RawHeaders, call: Call) -> RawHeaders:
        request_id = call.request_id.encode()
        added = [*headers, *((name, request_id) for name in _ID_HEADERS)]
        if self._dataplane.draining and _CLOSE not in added:
            # Tells a keep-alive client to come back elsewhere before the door closes on it.
            added.append(_CLOSE)
        return added


class VisionApp(FastAPI):
    """An application whose errors all leave through `Edge`, and whose busy routes are answered before the framework's.

    Both ways pass the middleware that is added to it.
    """

    def __init__(self, title: str, version: str, dataplane: VisionDataPlane) -> None:
        super().__init__(title=title, version=version, docs_url="/docs", redoc_url=None)
        self.add_exception_handler(HTTPException, _name_http_error)
        self.add_exception_handler(RequestValidationError, _name_validation_error)
        self.add_middleware(Edge, dataplane=dataplane)
        self._busy: list[BusyRoute] = []
        self._busy_stack: ASGIApp | None = None

    def include_router(self, router: APIRouter, **named: Any) -> None:
        """Add a router's routes, the busy ones of a `BusyRouter` before all others."""
        super().include_router(router, **named)
        if isinstance(router, BusyRouter):
            self._busy += router.busy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not choose_handler(self._busy, scope):
            await super().__call__(scope, receive, send)
            return
        if self._busy_stack is None:
            self._busy_stack = self._build_busy_stack()
        await self._busy_stack(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Describe the API without FastAPI's own error, which `_name_validation_error` never lets out."""
        if self.openapi_schema is None:
            schema = get_openapi(title=self.title, version=self.version, routes=self.routes)
            for operations in schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            schema.pop("components", None)
            self.openapi_schema = schema
        return self.openapi_schema

    def _build_busy_stack(self) -> ASGIApp:
        stack: ASGIApp = answer_busy
        for layer, arguments, named in reversed(self.user_middleware):
            stack = layer(stack, *arguments, **named)
        return stack


def protocol_of(path: str) -> str:
    """Return the protocol that a path belongs to, as metrics and logs name it."""
    if path.startswith("/v2"):
        return "v2-rest"
    return "v1-rest" if path.startswith("/v1") else "http"


def call_of(request: Request) -> Call:
    """Return the call that `Edge` made of this request."""
    call: Call = request.scope["state"]["call"]
    return call


def headers_of(request: Request) -> Mapping[str, str]:
    """Return a request's headers by their names in lower case; of one that comes several times, the first.

    Starlette's own look through all of them for each that is asked for.
    """
    headers: Mapping[str, str] = request.scope["state"]["headers"]
    return headers


def error_response(error: ServingError, call: Call) -> ASGIApp:
    """Return an error as its protocol's body, with its status."""
    headers = {} if error.retry_after_s is None else {"retry-after": str(math.ceil(error.retry_after_s))}
    if isinstance(error, DeadlineExceeded | RequestTooLarge):
        headers["connection"] = "close"  # the rest of the body is not wanted
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


def _headers(scope: Scope) -> dict[str, str]:
    """Return a request's headers; of one that comes several times, the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def _name_http_error(request: Request, error: Exception) -> NoReturn:
    """Give the framework's own refusals their place in the error tree."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it
    route = f"{request.method} {request.url.path}"
    match error.status_code:
        case MethodNotAllowed.http_status:
            allowed = (error.headers or {}).get("Allow", "")
            raise MethodNotAllowed(f"{route:.200}: use {allowed}") from error
        case RouteNotFound.http_status:
            raise RouteNotFound(f"{route:.200}: there is no such route; /docs lists them") from error
        case _:
            raise RequestInvalid(str(error.detail)) from error


def _name_validation_error(_: Request, error: Exception) -> NoReturn:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for it
    faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    raise RequestInvalid(faults) from error
