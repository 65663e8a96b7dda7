from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from serving.contract import InputRules
from tests.photos import encoded, photo
from transformer.pictures import Limits, decode, prepare, read_header
from transformer.pictures.orientation import orientation_of

from .rules import crop, letterbox, plain, shortest_edge, stretch

LIMITS = Limits(formats=frozenset({"JPEG", "PNG", "WEBP", "TIFF"}))
ORIENTATIONS = range(1, 9)
SIZE = (101, 66)


def turned(picture_format: str, orientation: int, size: tuple[int, int] = SIZE) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif[0x0112] = orientation
    return encoded(photo(size=size), picture_format, exif=exif)


def upright(whole: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(whole)))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_turned_as_exif_says(picture_format: str, orientation: int) -> None:
    whole = turned(picture_format, orientation)

    picture = decode(read_header(whole, LIMITS))

    assert np.array_equal(np.asarray(picture.image), np.asarray(upright(whole).convert("RGB")))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_width_and_height_are_those_that_a_person_sees(picture_format: str, orientation: int) -> None:
    header = read_header(turned(picture_format, orientation), LIMITS)
    picture = decode(header)

    expected = SIZE if orientation < 5 else SIZE[::-1]
    assert (header.width, header.height) == (picture.width, picture.height) == expected


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_picture_is_prepared_as_if_it_had_been_turned_first(orientation: int) -> None:
    whole = turned("JPEG", orientation, (640, 427))
    exact = crop(decode="exact")

    assert np.array_equal(prepare(whole, exact, LIMITS).pixels, plain(upright(whole), exact))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_scaled_picture_still_covers_what_is_asked_after_the_turn(orientation: int) -> None:
    header = read_header(turned("JPEG", orientation, (813, 415)), LIMITS)
    cover = (190, 100) if orientation < 5 else (100, 190)

    picture = decode(header, cover=cover)

    assert picture.image.size == ((204, 104) if orientation < 5 else (104, 204))
    assert (picture.width, picture.height) == (header.width, header.height)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_picture_that_was_decoded_to_scale_is_not_shifted(orientation: int) -> None:
    whole = turned("JPEG", orientation, (1013, 677))

    scaled = prepare(whole, letterbox(height=96, width=96), LIMITS)
    exact = prepare(whole, letterbox(height=96, width=96, decode="exact"), LIMITS)

    assert scaled.geometry == exact.geometry
    assert np.abs(scaled.pixels.astype(int) - exact.pixels).mean() < 1.5


@pytest.mark.parametrize("mode", ["scaled", "exact"])
@pytest.mark.parametrize(
    "wanted",
    [
        crop(shorter_side=480, height=480, width=480),
        letterbox(height=480, width=640),
        letterbox(height=640, width=640, multiple=32, interpolation="opencv_linear"),
        stretch(height=480, width=512),
        shortest_edge(480, 700),
        shortest_edge(480, 700, multiple=32, pad=(0, 0, 0)),
    ],
    ids=["crop", "letterbox", "rectangle", "stretch", "shortest edge", "padded"],
)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_box_is_within_a_pixel_of_where_a_person_sees_it(orientation: int, wanted: InputRules, mode: str) -> None:
    image = photo("china", (640, 520)).point(lambda value: value // 8)
    image.paste((255, 255, 255), (260, 150, 380, 240))
    exif = Image.Exif()
    exif[0x0112] = orientation
    whole = encoded(image, "JPEG", quality=98, exif=exif)

    prepared = prepare(whole, wanted.model_copy(update={"decode": mode}), LIMITS)
    found = prepared.geometry.to_original(white_box(prepared.pixels))

    assert np.allclose(found, white_box(np.asarray(upright(whole))), atol=1)


def white_box(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows, columns = np.nonzero(pixels.min(axis=2) > 140)
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("datatype", "code"), [(3, "H"), (4, "I")])
def test_the_tag_is_read_in_both_byte_orders_and_as_short_or_long(order: str, datatype: int, code: str) -> None:
    head = b"II*\0" if order == "<" else b"MM\0*"
    other = struct.pack(f"{order}HHII", 0x010F, 2, 4, 0)
    entry = struct.pack(f"{order}HHI", 0x0112, datatype, 1) + struct.pack(order + code, 6).ljust(4, b"\0")
    block = head + struct.pack(f"{order}IH", 8, 2) + other + entry

    assert orientation_of(block) == 6
    assert orientation_of(b"Exif\0\0" + block) == 6


def test_only_exif_turns_a_picture() -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'

    assert read_header(encoded(photo(size=SIZE), "JPEG", xmp=packet), LIMITS).orientation == 1


def test_exif_after_the_pixels_of_a_png_counts_too() -> None:
    whole = turned("PNG", 6)
    at = whole.index(b"eXIf") - 4
    size = int.from_bytes(whole[at : at + 4], "big") + 12
    moved = whole[:at] + whole[at + size : -12] + whole[at : at + size] + whole[-12:]

    assert read_header(moved, LIMITS).orientation == 6
