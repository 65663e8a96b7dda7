"""Busy routes: answered straight by their handlers, and described by FastAPI.

FastAPI and Starlette lead a request through nine layers to its handler: a fifth of a millisecond of a busy server's
event loop. What is asked hundreds of times a second is therefore looked up here, and passes only the middleware that
was added to the application (`edge.py`). The routes stand in FastAPI's table too: for the API's description, and for
the answer to another method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from re import Pattern
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

METHOD: Final = "POST"

_ANSWERING: Final = "kserve_vision.answering"
_ABANDONED: Final = "kserve_vision.abandoned"

RawHeaders = Sequence[tuple[bytes, bytes]]

CLOSE: Final = (b"connection", b"close")
"""The header of an answer that is the last one on its connection."""

STRAIGHT: Final = "kserve_vision.straight"
"""The key of a scope under which the server offers the way past ASGI's messages (`straight.Straight`)."""

BODY: Final = "body"
"""The key of a scope's state under which a body stands that was all there; who reads it takes it away."""

Handler = Callable[..., Awaitable[Response]]
"""Takes the request, and the parameters of its path by name; these are text. The response has all of its body."""


@dataclass(frozen=True, slots=True)
class BusyRoute:
    """A path, with names in braces, and its handler."""

    pattern: Pattern[str]
    handler: Handler


class BusyRouter(APIRouter):
    """A router of which some routes are busy."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.busy: list[BusyRoute] = []

    def add_busy_route(self, path: str, handler: Handler, **described: Any) -> None:
        """Register a handler of POST; `described` is what FastAPI is told of it beside."""
        self.busy.append(BusyRoute(compile_path(path)[0], handler))
        self.add_api_route(path, handler, methods=[METHOD], response_model=None, **described)


def choose_handler(routes: list[BusyRoute], scope: Scope) -> bool:
    """Whether a request is for one of the busy routes; its handler then stands in the scope, as Starlette does it."""
    if scope["type"] != "http" or scope["method"] != METHOD:
        return False
    path = scope["path"]
    for route in routes:
        match = route.pattern.match(path)
        if match:
            scope["endpoint"] = route.handler
            scope["path_params"] = match.groupdict()
            return True
    return False


async def handle_busy(scope: Scope, receive: Receive) -> Response:
    """Have a request's handler, which was chosen, make its answer, as long as its client is there."""
    scope["state"][_ANSWERING] = asyncio.current_task()
    response: Response = await scope["endpoint"](Request(scope, receive), **scope["path_params"])
    return response


async def answer_busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose handler was chosen."""
    response = await handle_busy(scope, receive)
    await response(scope, receive, send)


def abandon(scope: Scope) -> None:
    """End the work for a busy request whose client has gone: nobody would read its answer."""
    task: asyncio.Task[None] | None = scope.get("state", {}).get(_ANSWERING)
    if task is not None and not task.done():
        scope["state"][_ABANDONED] = True
        task.cancel()


def is_abandoned(scope: Scope) -> bool:
    """Whether `abandon` has ended a request."""
    return _ABANDONED in scope["state"]
