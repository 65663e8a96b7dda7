"""JSON answers over HTTP, written by orjson."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.responses import Response


def json_response(
    body: object, *, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `body`, whose numbers may be NumPy's, as a JSON response."""
    encoded = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(encoded, status_code=status, headers=dict(headers or {}), media_type="application/json")
