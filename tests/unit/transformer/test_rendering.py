from __future__ import annotations

import pytest
from starlette.requests import Request

from serving.errors import RequestInvalid
from transformer.drawing import PictureFormat
from transformer.rendering import wanted_format

JPEG, PNG, WEBP = PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


def request(query: str = "", *accept: str) -> Request:
    headers = [(b"accept", each.encode()) for each in accept]
    return Request({"type": "http", "query_string": query.encode(), "headers": headers})


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", None),
        ("*/*", None),
        ("application/json", None),
        ("application/json, image/png", None),
        (CHROME, None),
        ("image/*", JPEG),
        ("image/png", PNG),
        ("IMAGE/WEBP", WEBP),
        ("image/webp, */*;q=0.1", WEBP),
        ("image/webp;q=0.5, image/png;q=0.9", PNG),
        ("image/avif,image/png;q=0.8", PNG),
        ("image/avif", JPEG),
        ("image/png;q=0, image/*", JPEG),
        ("image/png;q=much", None),
        (",;,", None),
    ],
)
def test_a_header_that_names_only_pictures_asks_for_one(accept: str, wanted: PictureFormat | None) -> None:
    assert wanted_format(request("", accept)) is wanted


def test_a_header_may_come_in_several_lines() -> None:
    assert wanted_format(request("", "image/webp;q=0.5", "image/png")) is PNG


@pytest.mark.parametrize(
    ("query", "accept", "wanted"),
    [
        ("render=true", "*/*", JPEG),
        ("render=TRUE", "application/json", JPEG),
        ("render=1", "image/png", PNG),
        ("render=true", CHROME, WEBP),
        ("render=false", "image/png", None),
        ("render=0", "*/*", None),
    ],
)
def test_the_query_goes_before_the_header(query: str, accept: str, wanted: PictureFormat | None) -> None:
    assert wanted_format(request(query, accept)) is wanted


@pytest.mark.parametrize("value", ["", "yes", "x" * 5000])
def test_a_switch_that_is_neither_is_refused(value: str) -> None:
    with pytest.raises(RequestInvalid, match="true or false is expected") as refused:
        wanted_format(request(f"render={value}"))
    assert len(refused.value.message) < 100
