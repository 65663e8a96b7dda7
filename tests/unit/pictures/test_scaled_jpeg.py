from __future__ import annotations

import numpy as np
import pytest

from serving.contract import InputRules
from tests.photos import encoded, photo, photo_bytes
from transformer.pictures import Limits, decode, decoded_size, place, prepare, read_header

from .rules import crop, letterbox, stretch

LIMITS = Limits()


@pytest.mark.parametrize(
    ("cover", "expected"),
    [
        (None, (1283, 855)),
        ((1283, 855), (1283, 855)),
        ((2000, 2000), (1283, 855)),
        ((642, 427), (1283, 855)),
        ((641, 427), (642, 428)),
        ((384, 256), (642, 428)),
        ((320, 213), (321, 214)),
        ((160, 106), (161, 107)),
        ((1, 1), (161, 107)),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_covers(
    cover: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    header = read_header(encoded(photo("china", (1283, 855)), "JPEG"), LIMITS)

    picture = decode(header, cover=cover)

    assert picture.image.size == decoded_size(header, cover) == expected
    assert (picture.width, picture.height) == (1283, 855)


def test_the_extent_ends_where_the_picture_does_and_not_where_its_last_pixel_does() -> None:
    header = read_header(encoded(photo("china", (1283, 855)), "JPEG"), LIMITS)

    assert decode(header, cover=(384, 256)).extent == (0, 0, 641.5, 427.5)
    assert decode(header).extent == (0, 0, 1283, 855)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_greyscale_and_cmyk_are_scaled_too(mode: str) -> None:
    header = read_header(encoded(photo("china", (800, 600)).convert(mode), "JPEG"), LIMITS)

    assert decode(header, cover=(100, 75)).image.size == (100, 75)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 2}])
def test_every_kind_of_jpeg_is_scaled(options: dict[str, object]) -> None:
    header = read_header(encoded(photo("china", (800, 600)), "JPEG", **options), LIMITS)

    assert decode(header, cover=(150, 75)).image.size == (200, 150)


@pytest.mark.parametrize("picture_format", ["PNG", "WEBP", "BMP", "GIF"])
def test_other_formats_are_decoded_in_full(picture_format: str) -> None:
    header = read_header(encoded(photo(size=(400, 300)), picture_format), LIMITS)

    assert decode(header, cover=(40, 30)).image.size == decoded_size(header, (40, 30)) == (400, 300)


@pytest.mark.parametrize("size", [(1280, 853), (853, 1280), (2000, 300), (300, 2000), (257, 3000)])
@pytest.mark.parametrize("wanted", [crop(), letterbox(), stretch(), letterbox(align="top_left")])
def test_the_decoded_picture_is_never_enlarged_to_fill_the_model_unless_the_original_is(
    wanted: InputRules, size: tuple[int, int]
) -> None:
    header = read_header(encoded(photo("china", size), "JPEG"), LIMITS)
    placement = place(wanted, *size)

    decoded = decode(header, cover=placement.size).image

    for have, need, original in zip(decoded.size, placement.size, size, strict=True):
        assert have >= min(need, original)


@pytest.mark.parametrize("name", ["china", "flower", "rocket"])
@pytest.mark.parametrize("wanted", [crop(), letterbox(), stretch()], ids=["crop", "letterbox", "stretch"])
def test_scaled_pixels_stay_close_to_exact_ones(name: str, wanted: InputRules) -> None:
    whole = encoded(photo(name, (1283, 855)), "JPEG", quality=90)
    exactly = wanted.model_copy(update={"decode": "exact"})

    scaled = prepare(whole, wanted, LIMITS)
    exact = prepare(whole, exactly, LIMITS)

    assert scaled.geometry == exact.geometry
    assert np.abs(scaled.pixels.astype(int) - exact.pixels).mean() < 1.5


def test_a_jpeg_smaller_than_the_model_is_decoded_in_full() -> None:
    header = read_header(photo_bytes("china"), LIMITS)

    assert decode(header, cover=(5000, 5000)).image.size == (640, 427)
