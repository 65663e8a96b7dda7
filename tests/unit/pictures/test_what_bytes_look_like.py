from __future__ import annotations

import gzip

import pytest
from PIL import Image

from serving.errors import ImageUnsupported
from tests.photos import encoded, photo
from transformer.pictures import Limits, read_header

SMALL = (30, 20)

FOREIGN = {
    "EPS": encoded(photo(size=SMALL), "EPS"),
    "PDF": encoded(photo(size=SMALL), "PDF"),
    "TIFF": encoded(photo(size=SMALL), "TIFF"),
    "ICNS": encoded(photo(size=(16, 16)), "ICNS"),
    "ICO": encoded(photo(size=(16, 16)), "ICO"),
    "JPEG 2000": encoded(photo(size=SMALL), "JPEG2000"),
    "AVIF": encoded(photo(size=SMALL), "AVIF"),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "MP4": b"\0\0\0\x18ftypisom\0\0\2\0",
    "PSD": b"8BPS\0\1" + bytes(20),
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "HTML": b"<!DOCTYPE html><title>404</title>",
    "XML": b"<Error><Code>AccessDenied</Code></Error>",
    "JSON": b'{"instances": []}',
    "gzip": gzip.compress(encoded(photo(size=SMALL), "PNG")),
    "zip": b"PK\x03\x04" + bytes(20),
    "base64 text": b"/9j/4AAQSkZJRgABAQAAAQABAAD",
    "data URL": b"data:image/png;base64,iVBORw0KGgo",
    "text": "Not a picture: \u00e9t\u00e9".encode() * 200,
    "RIFF": b"RIFF\x24\0\0\0WAVEfmt ",
    "no format known here": b"\x07\x93\x00\xfe" * 9,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_not_allowed_is_named_with_what_is(kind: str) -> None:
    with pytest.raises(ImageUnsupported, match=f"looks like {kind}, .* send JPEG, PNG, WEBP, BMP or GIF") as caught:
        read_header(FOREIGN[kind], Limits())

    assert caught.value.details == {"looks_like": kind, "allowed": ["JPEG", "PNG", "WEBP", "BMP", "GIF"]}
    assert caught.value.http_status == 415


def test_an_allowed_list_is_a_bound_and_not_a_hint() -> None:
    with pytest.raises(ImageUnsupported, match="looks like PNG, which is not read here: send JPEG"):
        read_header(encoded(photo(size=SMALL), "PNG"), Limits(formats=frozenset({"JPEG"})))


def test_tiff_can_be_allowed() -> None:
    assert read_header(FOREIGN["TIFF"], Limits(formats=frozenset({"TIFF"}))).width == SMALL[0]


def test_no_other_plugin_of_pillow_sees_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Pillow was asked to guess")

    monkeypatch.setattr(Image, "open", refuse)

    for whole in FOREIGN.values():
        with pytest.raises(ImageUnsupported):
            read_header(whole, Limits())
