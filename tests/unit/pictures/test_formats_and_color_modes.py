from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from serving.errors import ImageUnsupported
from tests.photos import encoded, photo
from transformer.pictures import Limits, Picture, decode, read_header

ALL = Limits(formats=frozenset({"JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"}))
SMALL = (90, 60)


def decoded(whole: bytes, limits: Limits = ALL) -> Picture:
    return decode(read_header(whole, limits))


def pixels(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(picture.image.convert("RGB"))


def as_pillow_does(whole: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(whole))
    image.info.pop("transparency", None)
    return np.asarray(image.convert("RGB"))


def with_alpha() -> Image.Image:
    image = photo(size=SMALL).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SMALL))
    return image


CASES: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
    "baseline JPEG": (photo(size=SMALL), "JPEG", {}),
    "progressive JPEG": (photo(size=SMALL), "JPEG", {"progressive": True}),
    "JPEG without chroma subsampling": (photo(size=SMALL), "JPEG", {"subsampling": 0}),
    "JPEG stored as RGB": (photo(size=SMALL), "JPEG", {"keep_rgb": True}),
    "JPEG with restart markers": (photo(size=SMALL), "JPEG", {"restart_marker_rows": 1}),
    "greyscale JPEG": (photo(size=SMALL).convert("L"), "JPEG", {}),
    "CMYK JPEG": (photo(size=SMALL).convert("CMYK"), "JPEG", {}),
    "JPEG with a comment and a profile": (
        photo(size=SMALL),
        "JPEG",
        {"comment": "hello", "icc_profile": b"x" * 70_000},
    ),
    "MPO": (photo(size=SMALL), "MPO", {"save_all": True, "append_images": [photo("coffee", SMALL)]}),
    "RGB PNG": (photo(size=SMALL), "PNG", {}),
    "PNG with alpha": (with_alpha(), "PNG", {}),
    "greyscale PNG": (photo(size=SMALL).convert("L"), "PNG", {}),
    "greyscale PNG with alpha": (with_alpha().convert("LA"), "PNG", {}),
    "1-bit PNG": (photo(size=SMALL).convert("1"), "PNG", {}),
    "palette PNG": (photo(size=SMALL).quantize(64), "PNG", {}),
    "palette PNG of 4 bits": (photo(size=SMALL).quantize(9), "PNG", {"bits": 4}),
    "palette PNG with one transparent color": (photo(size=SMALL).quantize(64), "PNG", {"transparency": 3}),
    "palette PNG with alpha per color": (photo(size=SMALL).quantize(64), "PNG", {"transparency": b"\0\x80\xff\x10"}),
    "RGB PNG with a transparent color": (photo(size=SMALL), "PNG", {"transparency": (1, 2, 3)}),
    "APNG": (photo(size=SMALL), "PNG", {"save_all": True, "append_images": [photo("coffee", SMALL)]}),
    "APNG with a still picture": (
        photo(size=SMALL),
        "PNG",
        {"save_all": True, "default_image": True, "append_images": [photo("coffee", SMALL)]},
    ),
    "lossy WebP": (photo(size=SMALL), "WEBP", {}),
    "lossless WebP": (photo(size=SMALL), "WEBP", {"lossless": True}),
    "WebP with alpha": (with_alpha(), "WEBP", {}),
    "animated WebP": (photo(size=SMALL), "WEBP", {"save_all": True, "append_images": [photo("coffee", SMALL)]}),
    "RGB BMP": (photo(size=SMALL), "BMP", {}),
    "greyscale BMP": (photo(size=SMALL).convert("L"), "BMP", {}),
    "1-bit BMP": (photo(size=SMALL).convert("1"), "BMP", {}),
    "palette BMP": (photo(size=SMALL).quantize(64), "BMP", {}),
    "BMP with alpha": (with_alpha(), "BMP", {}),
    "GIF": (photo(size=SMALL), "GIF", {}),
    "greyscale GIF": (photo(size=SMALL).convert("L"), "GIF", {}),
    "GIF with a transparent color": (photo(size=SMALL).quantize(64), "GIF", {"transparency": 3}),
    "animated GIF": (photo(size=SMALL), "GIF", {"save_all": True, "append_images": [photo("coffee", SMALL)]}),
    "RGB TIFF": (photo(size=SMALL), "TIFF", {}),
    "LZW TIFF": (photo(size=SMALL), "TIFF", {"compression": "tiff_lzw"}),
    "CMYK TIFF": (photo(size=SMALL).convert("CMYK"), "TIFF", {}),
    "multi-page TIFF": (photo(size=SMALL), "TIFF", {"save_all": True, "append_images": [photo("coffee", SMALL)]}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_format_and_mode_becomes_what_pillow_makes_of_its_first_frame(name: str) -> None:
    image, picture_format, options = CASES[name]
    whole = encoded(image, picture_format, **options)

    picture = decoded(whole)

    assert np.array_equal(pixels(picture), as_pillow_does(whole))
    assert (picture.width, picture.height) == SMALL
    assert picture.image.mode in {"RGB", "L"}


@pytest.mark.parametrize("name", CASES)
def test_the_format_is_told(name: str) -> None:
    image, picture_format, options = CASES[name]
    expected = "JPEG" if picture_format == "MPO" else picture_format

    assert decoded(encoded(image, picture_format, **options)).format == expected


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_come_in_any_buffer(kind: Any) -> None:
    whole = encoded(photo(size=SMALL), "PNG")

    assert np.array_equal(pixels(decoded(kind(whole))), np.asarray(photo(size=SMALL)))


def test_a_slice_of_a_body_is_read_as_it_stands() -> None:
    whole = encoded(photo(size=SMALL), "PNG")

    picture = decoded(memoryview(b"before" + whole + b"after")[6:-5])  # type: ignore[arg-type]

    assert np.array_equal(pixels(picture), np.asarray(photo(size=SMALL)))


@pytest.mark.parametrize("picture_format", ["PNG", "TIFF"])
def test_16_bit_greyscale_keeps_its_high_byte(picture_format: str) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)

    picture = decoded(encoded(Image.fromarray(ramp), picture_format))

    assert np.array_equal(np.asarray(picture.image), ramp >> 8)


def test_a_picture_without_color_stays_one_channel_until_it_is_resized() -> None:
    assert decoded(encoded(photo(size=SMALL).convert("L"), "JPEG")).image.mode == "L"


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bit_samples_are_refused_because_nothing_says_what_white_is(dtype: Any) -> None:
    whole = encoded(Image.fromarray(np.zeros((6, 9), dtype)), "TIFF")

    with pytest.raises(ImageUnsupported, match="without a range"):
        decoded(whole)


def test_12_bit_jpeg_is_refused_by_name() -> None:
    whole = bytearray(encoded(photo(size=SMALL), "JPEG"))
    whole[whole.index(b"\xff\xc0") + 4] = 12

    with pytest.raises(ImageUnsupported, match="12 bits"):
        decoded(bytes(whole))


def test_mpo_is_accepted_wherever_jpeg_is() -> None:
    whole = encoded(photo(size=SMALL), "MPO", save_all=True, append_images=[photo("coffee", SMALL)])

    assert decoded(whole, Limits(formats=frozenset({"JPEG"}))).format == "JPEG"


def test_what_a_phone_appends_to_a_jpeg_is_not_read() -> None:
    whole = encoded(photo(size=SMALL), "JPEG")

    assert np.array_equal(pixels(decoded(whole + b"\0\0\0\x18ftypmp42" + bytes(9999))), as_pillow_does(whole))


def test_a_tiny_frame_on_a_large_gif_canvas_is_as_large_as_the_canvas() -> None:
    whole = encoded(photo(size=SMALL).quantize(8), "GIF")
    grown = whole[:6] + (500).to_bytes(2, "little") + (400).to_bytes(2, "little") + whole[10:]

    picture = decoded(grown)

    assert (picture.width, picture.height) == (500, 400)
    assert np.array_equal(pixels(picture), as_pillow_does(grown))


def test_a_gif_frame_beyond_the_canvas_widens_it() -> None:
    whole = encoded(photo(size=SMALL).quantize(8), "GIF")
    shrunk = whole[:6] + bytes([20, 0, 10, 0]) + whole[10:]

    picture = decoded(shrunk)

    assert picture.image.size == (picture.width, picture.height) == SMALL


def test_animations_tell_how_many_frames_they_have() -> None:
    others = [photo("coffee", SMALL), photo("astronaut", SMALL)]

    for picture_format in ("PNG", "GIF", "WEBP", "TIFF"):
        whole = encoded(photo(size=SMALL), picture_format, save_all=True, append_images=others)
        assert read_header(whole, ALL).frames == 3
