"""Whether an answer of 200 is what the route gives.

Whoever answers may be somebody else: a proxy's page has a 200 too. The first answer is read in full; those after it are
held against it by what costs nothing: the type of the content, and whether the key is where it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from load.plan import Route
from serving.errors import ServingError
from serving.http_answer import Answer
from serving.v2 import rest as rest_codec

LOOKED_AT: Final = 4096
"""Bytes from a body's begin, among which the key is looked for."""
QUOTED: Final = 120
"""Characters of a wrong answer that are quoted."""


@dataclass(frozen=True, slots=True)
class _Form:
    """What the answers of a route have in common."""

    key: bytes
    """It stands in every answer's JSON, near its begin."""
    fault: Callable[[Answer], str]
    """Says what is wrong with an answer, and nothing of one that is right."""


class Expectation:
    """What one route is expected to give, for the answers of one measurement."""

    def __init__(self, route: Route) -> None:
        self._form = _FORMS.get(route)
        self._content_type: str | None = None
        """That of the first answer that was right."""

    def fault(self, answer: Answer) -> str:
        """Say what is wrong with an answer of 200; empty where it is what the route gives."""
        if self._form is None:
            return ""
        content_type = answer.headers.get("content-type", "")
        if self._content_type is None:
            fault = f"it is packed with {answer.packing}" if answer.packing else self._form.fault(answer)
            if not fault:
                self._content_type = content_type
                return ""
        elif content_type != self._content_type:
            fault = f"the first was {self._content_type or 'of no type'}"
        elif self._form.key not in bytes(answer.body[:LOOKED_AT]):
            fault = f"it has no {self._form.key.decode()}"
        else:
            return ""
        return f"{fault}; it is {content_type or 'of no type'} and begins with {answer.said[:QUOTED]!r}"


def _fault_of_predictions(answer: Answer) -> str:
    try:
        message = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return "it is no JSON, where predictions are expected"
    if not isinstance(message, dict) or not isinstance(message.get("predictions"), list | dict):
        return 'it is JSON without "predictions"'
    return ""


def _fault_of_tensors(answer: Answer) -> str:
    try:
        response = rest_codec.decode_response(answer.body, answer.headers)
    except ServingError as error:
        return f"it is no answer of V2: {error.message}"
    return "" if response.outputs else "it is an answer of V2 without outputs"


_FORMS: Final[dict[Route, _Form]] = {
    "predict": _Form(b'"predictions"', _fault_of_predictions),
    "infer": _Form(b'"outputs"', _fault_of_tensors),
}
