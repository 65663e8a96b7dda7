"""The edge of every REST request: its `Call` on the way in, its id on the way out, and errors as answers."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final, NoReturn

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
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
from serving.server.body import Bodies
from serving.server.busy import (
    BODY,
    CLOSE,
    STRAIGHT,
    BusyRoute,
    BusyRouter,
    RawHeaders,
    answer_busy,
    choose_handler,
    handle_busy,
    is_abandoned,
)
from serving.server.dataplane import VisionDataPlane
from serving.server.observe import report_unforeseen
from serving.server.scope import begin_call
from serving.server.straight import Straight

_ID_HEADERS: Final = tuple(name.encode() for name in REQUEST_ID_HEADERS)


class Edge:
    """The outermost layer: makes the request's `Call`, turns errors into answers, and puts the request id on both.

    Pure ASGI, since Starlette's BaseHTTPMiddleware adds a task and a queue to every request.
    """

    def __init__(self, app: ASGIApp, dataplane: VisionDataPlane, bodies: Bodies) -> None:
        self._app = app
        self._dataplane = dataplane
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = begin_call(scope)
        answered = False

        async def send_with_id(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                message["headers"] = self._with_id(message["headers"], call)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except (Exception, asyncio.CancelledError) as error:
            response = _refusal(scope, call, error)
            if response is None:
                return
            if answered:
                raise
            await response(scope, receive, send_with_id)
        finally:
            self._bodies.release(call)

    async def answer_straight(self, scope: Scope, receive: Receive, straight: Straight) -> None:
        """Answer a request for a busy route past ASGI's messages."""
        call = begin_call(scope)
        scope["state"][BODY] = straight.take_body()
        try:
            try:
                response: Response | None = await handle_busy(scope, receive)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # `_refusal` answers or lets out each
                response = _refusal(scope, call, error)
            finally:
                self._bodies.release(call)
            if response is not None:
                await straight.send(response, self._with_id(response.raw_headers, call))
        except asyncio.CancelledError:
            if not is_abandoned(scope):
                raise

    def _with_id(self, headers: RawHeaders, call: Call) -> list[tuple[bytes, bytes]]:
        request_id = call.request_id.encode()
        added = [*headers, *((name, request_id) for name in _ID_HEADERS)]
        if self._dataplane.draining and CLOSE not in added:
            # Tells a keep-alive client to come back elsewhere before the door closes on it.
            added.append(CLOSE)
        return added


def _refusal(scope: Scope, call: Call, error: Exception | asyncio.CancelledError) -> Response | None:
    """Return the answer to a request that ended with `error`; None where nobody is there to be answered.

    Raises:
        asyncio.CancelledError: `error` itself, where it ends more than the request.
    """
    match error:
        case ClientDisconnect():
            return None
        case asyncio.CancelledError():
            if not is_abandoned(scope):
                raise error
            return None
        case ServingError():
            return error_response(error, call)
        case _:
            return error_response(report_unforeseen(call, error), call)


class VisionApp(FastAPI):
    """An application whose errors all leave through `Edge`, and whose busy routes are answered before the framework's.

    Both ways pass the middleware that is added to it; where there is none beside `Edge`, bodies and answers of busy
    routes go past ASGI's messages.
    """

    def __init__(self, title: str, version: str, dataplane: VisionDataPlane, bodies: Bodies) -> None:
        super().__init__(title=title, version=version, docs_url="/docs", redoc_url=None)
        self.add_exception_handler(HTTPException, _name_http_error)
        self.add_exception_handler(RequestValidationError, _name_validation_error)
        self.add_middleware(Edge, dataplane=dataplane, bodies=bodies)
        self._has_others = False
        self._edge = Edge(answer_busy, dataplane, bodies)
        self._busy: list[BusyRoute] = []
        self._busy_stack: ASGIApp | None = None

    def add_middleware(self, middleware_class: Any, *arguments: Any, **named: Any) -> None:
        """Add a layer. It may look at a request's body and change its answer, so that these then travel as messages."""
        super().add_middleware(middleware_class, *arguments, **named)
        self._has_others = True

    def include_router(self, router: APIRouter, **named: Any) -> None:
        """Add a router's routes, the busy ones of a `BusyRouter` before all others."""
        super().include_router(router, **named)
        if isinstance(router, BusyRouter):
            self._busy += router.busy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        straight = scope.pop(STRAIGHT, None)
        if not choose_handler(self._busy, scope):
            await super().__call__(scope, receive, send)
            return
        if straight is not None and not self._has_others:
            await self._edge.answer_straight(scope, receive, straight)
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


def error_response(error: ServingError, call: Call) -> Response:
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
