from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from serving.errors import ClientError
from tests.fuzz import EXAMPLES
from tests.photos import encoded, photo
from transformer.pictures import Limits, decode, read_header

LIMITS = Limits(formats=frozenset({"JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"}), max_pixels=1_000_000)
SMALL = (50, 34)
OTHERS = [photo("coffee", SMALL), photo("astronaut", SMALL)]

SEEDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("RGB", "JPEG", {"comment": "hello", "icc_profile": b"p" * 100}),
    "progressive JPEG": ("RGB", "JPEG", {"progressive": True}),
    "CMYK JPEG": ("CMYK", "JPEG", {}),
    "MPO": ("RGB", "MPO", {"save_all": True, "append_images": OTHERS}),
    "PNG": ("RGB", "PNG", {}),
    "palette PNG": ("P", "PNG", {"transparency": b"\0\x80\xff"}),
    "APNG": ("RGB", "PNG", {"save_all": True, "append_images": OTHERS}),
    "GIF": ("P", "GIF", {"transparency": 3}),
    "animated GIF": ("RGB", "GIF", {"save_all": True, "append_images": OTHERS, "disposal": 2}),
    "WebP": ("RGB", "WEBP", {}),
    "lossless WebP": ("RGBA", "WEBP", {"lossless": True}),
    "animated WebP": ("RGB", "WEBP", {"save_all": True, "append_images": OTHERS}),
    "BMP": ("RGB", "BMP", {}),
    "palette BMP": ("P", "BMP", {}),
    "TIFF": ("RGB", "TIFF", {}),
    "LZW TIFF": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
}
MARKED = {"JPEG", "progressive JPEG", "PNG", "WebP", "lossless WebP", "TIFF"}


@cache
def seed(name: str) -> bytes:
    mode, picture_format, options = SEEDS[name]
    if name in MARKED:
        exif = Image.Exif()
        exif[0x010F] = "A camera"
        exif[0x0112] = 6
        options = {**options, "exif": exif}
    return encoded(photo(size=SMALL).convert(mode), picture_format, **options)


def decoded_or_refused(whole: bytes, cover: tuple[int, int] | None) -> None:
    try:
        decode(read_header(whole, LIMITS), cover=cover)
    except ClientError as error:
        assert error.message  # noqa: PT017


covers = st.sampled_from([None, (10, 10)])
fuzzed = settings(
    deadline=None, database=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", SEEDS)
@fuzzed
@given(data=st.data())
def test_a_cut_picture_is_decoded_or_refused(name: str, data: st.DataObject) -> None:
    whole = seed(name)
    length = data.draw(st.integers(0, len(whole)))

    decoded_or_refused(whole[:length], data.draw(covers))


@pytest.mark.parametrize("name", SEEDS)
@fuzzed
@given(data=st.data())
def test_a_picture_with_changed_bytes_is_decoded_or_refused(name: str, data: st.DataObject) -> None:
    whole = bytearray(seed(name))
    # Headers are short and decide most, so half of the changes fall there.
    position = st.one_of(st.integers(0, min(len(whole), 120) - 1), st.integers(0, len(whole) - 1))
    for at, value in data.draw(st.lists(st.tuples(position, st.integers(0, 255)), min_size=1, max_size=12)):
        whole[at] = value

    decoded_or_refused(bytes(whole), data.draw(covers))


@pytest.mark.parametrize("name", SEEDS)
@fuzzed
@given(data=st.data())
def test_a_picture_with_a_hole_or_a_foreign_piece_is_decoded_or_refused(name: str, data: st.DataObject) -> None:
    whole = seed(name)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    piece = data.draw(st.binary(max_size=40))

    decoded_or_refused(whole[:start] + piece + whole[end:], data.draw(covers))


@fuzzed
@given(head=st.sampled_from([seed(name)[:30] for name in SEEDS]), length=st.integers(2, 30), noise=st.binary())
def test_noise_after_any_beginning_is_decoded_or_refused(head: bytes, length: int, noise: bytes) -> None:
    decoded_or_refused(head[:length] + noise, None)
