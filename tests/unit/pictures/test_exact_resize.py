from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image

from serving.contract import InputRules
from tests.photos import PHOTOS, encoded, photo, photo_bytes
from transformer.pictures import Limits, decode, place, prepare, read_header, resize

from .rules import crop, letterbox, plain, shortest_edge, stretch

LIMITS = Limits()
FILTERS = ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
SIZES = [(640, 427), (427, 640), (333, 333), (257, 256), (255, 400), (1000, 61), (61, 1000), (20, 31), (1, 1)]


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("name", PHOTOS)
def test_an_exact_crop_equals_the_plain_steps(name: str, interpolation: str) -> None:
    wanted = crop(interpolation=interpolation, decode="exact")

    prepared = prepare(photo_bytes(name), wanted, LIMITS)

    assert np.array_equal(prepared.pixels, plain(Image.open(io.BytesIO(photo_bytes(name))), wanted))


@cache
def png(name: str, size: tuple[int, int]) -> bytes:
    return encoded(photo(name, size), "PNG")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "wanted",
    [
        crop(decode="exact"),
        crop(shorter_side=235, interpolation="bicubic", decode="exact"),
        crop(height=128, width=192, shorter_side=192, decode="exact"),
        stretch(decode="exact"),
        stretch(height=96, width=160, interpolation="bicubic", decode="exact"),
        letterbox(decode="exact"),
        letterbox(height=320, width=512, color=(1, 2, 3), decode="exact"),
        letterbox(align="top_left", decode="exact"),
        letterbox(multiple=32, decode="exact"),
        letterbox(height=320, width=512, multiple=64, align="top_left", decode="exact"),
        shortest_edge(decode="exact"),
        shortest_edge(multiple=32, interpolation="bicubic", decode="exact"),
        shortest_edge(multiple=32, pad=(1, 2, 3), decode="exact"),
    ],
    ids=[
        "crop",
        "crop 235",
        "wide crop",
        "stretch",
        "wide stretch",
        "letterbox",
        "wide letterbox",
        "top left",
        "rectangle",
        "top left rectangle",
        "shortest edge",
        "shortest edge by 32",
        "padded shortest edge",
    ],
)
def test_every_rule_equals_the_plain_steps_at_every_size(wanted: InputRules, size: tuple[int, int]) -> None:
    prepared = prepare(png("flower", size), wanted, LIMITS)

    assert np.array_equal(prepared.pixels, plain(photo("flower", size), wanted))


@pytest.mark.parametrize("wanted", [crop(decode="exact"), letterbox(), stretch()], ids=["crop", "letterbox", "stretch"])
@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_grey_pictures_give_the_pixels_that_they_would_as_rgb(mode: str, wanted: InputRules) -> None:
    grey = photo().convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)

    prepared = prepare(encoded(image, "PNG"), wanted, LIMITS)

    assert np.array_equal(prepared.pixels, plain(grey if mode == "I;16" else image, wanted))


@pytest.mark.parametrize(("interpolation", "most"), [("bilinear", 1), ("hamming", 1), ("bicubic", 16), ("lanczos", 16)])
@pytest.mark.parametrize("size", SIZES[:-1])
def test_the_crop_in_one_pass_is_close_to_the_plain_steps(size: tuple[int, int], interpolation: str, most: int) -> None:
    wanted = crop(interpolation=interpolation)

    prepared = prepare(png("coffee", size), wanted, LIMITS)

    difference = np.abs(prepared.pixels.astype(int) - plain(photo("coffee", size), wanted))
    assert difference.max() <= most
    assert difference.mean() < 0.3


THIN = [(1, 1), (1, 60_000), (60_000, 1), (8_000, 400), (2, 3)]


@cache
def thin_png(size: tuple[int, int]) -> bytes:
    return encoded(Image.linear_gradient("L").resize(size), "PNG", compress_level=1)


@pytest.mark.parametrize("interpolation", ["bilinear", "opencv_linear", "opencv_area"])
@pytest.mark.parametrize("mode", ["scaled", "exact"])
@pytest.mark.parametrize("make", [crop, letterbox, stretch])
@pytest.mark.parametrize("size", THIN)
def test_very_thin_pictures_are_prepared(
    size: tuple[int, int], make: Callable[..., InputRules], mode: str, interpolation: str
) -> None:
    wanted = make(decode=mode, interpolation=interpolation)

    prepared = prepare(thin_png(size), wanted, LIMITS)

    assert prepared.pixels.shape == (224, 224, 3)
    assert min(place(wanted, *size).size) >= 1


@pytest.mark.parametrize("interpolation", ["bilinear", "opencv_linear"])
@pytest.mark.parametrize(
    "wanted",
    [letterbox(multiple=32), shortest_edge(), shortest_edge(multiple=32), shortest_edge(multiple=32, pad=(0, 0, 0))],
    ids=["letterbox", "shortest edge", "rounded", "padded"],
)
@pytest.mark.parametrize("size", THIN)
def test_very_thin_pictures_have_bounded_sizes_where_the_size_follows_them(
    size: tuple[int, int], wanted: InputRules, interpolation: str
) -> None:
    resize = wanted.resize.model_copy(update={"interpolation": interpolation})

    prepared = prepare(thin_png(size), wanted.model_copy(update={"resize": resize}), LIMITS)

    assert min(prepared.pixels.shape[:2]) >= 1
    assert max(prepared.pixels.shape[:2]) <= max(wanted.largest_size)


@pytest.mark.parametrize(
    "wanted",
    [
        crop(),
        crop(decode="exact"),
        letterbox(),
        stretch(),
        stretch("opencv_nearest"),
        letterbox(interpolation="opencv_area"),
        crop(interpolation="opencv_linear"),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_are_rgb_bytes_in_rows_without_gaps(wanted: InputRules, mode: str) -> None:
    pixels, _ = resize(decode(read_header(encoded(photo().convert(mode), "PNG"), LIMITS)), wanted)

    assert pixels.dtype == np.uint8
    assert pixels.shape == (224, 224, 3)
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable


def test_a_bgr_model_gets_rgb_pixels_on_the_wire() -> None:
    whole = photo_bytes("coffee")

    assert np.array_equal(prepare(whole, crop(color="bgr"), LIMITS).pixels, prepare(whole, crop(), LIMITS).pixels)


def test_the_fill_keeps_its_color_around_a_grey_picture() -> None:
    wanted = letterbox(color=(10, 20, 30))

    pixels = prepare(encoded(photo().convert("L"), "PNG"), wanted, LIMITS).pixels

    assert pixels[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((1280, 720), (640, 640), (640, 360, 0, 140)),
        ((1279, 720), (640, 640), (640, 360, 0, 140)),
        ((640, 427), (640, 640), (640, 427, 0, 106)),
        ((100, 50), (640, 640), (640, 320, 0, 160)),
        ((427, 640), (320, 640), (320, 480, 0, 80)),
        ((3, 1000), (64, 64), (1, 64, 31, 0)),
    ],
)
def test_a_letterbox_rounds_as_ultralytics_does(
    size: tuple[int, int], box: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    placement = place(letterbox(width=box[0], height=box[1]), *size)

    assert (*placement.size, placement.left, placement.top) == expected
