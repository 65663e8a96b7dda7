"""What stands in the scope of a REST request beside ASGI's own: its `Call`, and its headers by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import Scope

from serving.call import Call

NO_QUERY: Final = QueryParams()


def begin_call(scope: Scope) -> Call:
    """Make the call of a request, and put it where the handlers find it."""
    headers = _headers(scope)
    call = Call.from_headers(headers, protocol_of(scope["path"]))
    state = scope.setdefault("state", {})
    state["call"], state["headers"] = call, headers
    return call


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


def query_of(request: Request) -> QueryParams:
    """Return a request's query parameters. Most have none, and Starlette would parse that."""
    return request.query_params if request.scope["query_string"] else NO_QUERY


def _headers(scope: Scope) -> dict[str, str]:
    """Return a request's headers; of one that comes several times, the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
