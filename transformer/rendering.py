"""Whether a request wants its answer drawn on the picture, and how that picture is written."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from starlette.requests import Request

from serving.errors import RequestInvalid
from serving.server.scope import query_of
from transformer.drawing import DEFAULT_FORMAT, PictureFormat

RENDER: Final = "render"
"""The query parameter; the header `Accept: image/...` asks for the same."""
SWITCH: Final = {"true": True, "1": True, "false": False, "0": False}
ANY_TYPE: Final = "*/*"
PICTURES: Final = "image/"
KNOWN: Final = 64
"""How many `Accept` headers are remembered with what they mean: a client sends the same one each time."""
KNOWN_LENGTH: Final = 256
"""The most characters of those."""


def wanted_format(request: Request) -> PictureFormat | None:
    """Return the format of the picture that is to be drawn; None of a request that wants JSON.

    Without the query parameter, only a request whose `Accept` names pictures and nothing else is one for a picture:
    browsers name some for every page.

    Raises:
        RequestInvalid: `render` is neither true nor false.
    """
    accept = ",".join(request.headers.getlist("accept"))
    wanted, picture_format = (_known if len(accept) <= KNOWN_LENGTH else _wanted_by)(accept)
    render = query_of(request).get(RENDER)
    if render is not None:
        if render.lower() not in SWITCH:
            raise RequestInvalid(f"{RENDER} is {render!r:.40}: true or false is expected")
        wanted = SWITCH[render.lower()]
    return picture_format if wanted else None


def _wanted_by(accept: str) -> tuple[bool, PictureFormat]:
    """Return whether an `Accept` header asks for a picture, and in which format if one is drawn."""
    accepted = _accepted(accept)
    named = [name for name in accepted if name != ANY_TYPE]
    formats = {each.media_type: each for each in PictureFormat}
    chosen = next((formats[name] for name in accepted if name in formats), DEFAULT_FORMAT)
    return bool(named) and all(name.startswith(PICTURES) for name in named), chosen


_known: Final = lru_cache(KNOWN)(_wanted_by)


def _accepted(header: str) -> list[str]:
    """Return the content types of an `Accept` header, the most wanted first (RFC 9110, 12.5.1)."""
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = (text.strip() for text in part.split(";"))
        if name:
            weights[name] = _weight(parameters)
    return sorted((name for name, weight in weights.items() if weight > 0), key=lambda name: -weights[name])


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
