from __future__ import annotations

import io
import resource
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from serving.errors import ClientError, ImageCorrupt, ImageEmpty, ImageTooLarge, ImageUnsupported
from tests.photos import encoded, photo
from transformer.pictures import Limits, decode, prepare, read_header
from transformer.pictures.formats.jpeg import MAX_SCANS

from . import bombs
from .rules import crop

LIMITS = Limits()
SMALL = (90, 60)


@contextmanager
def memory_left(size: int) -> Iterator[None]:
    """Let this process map no more than `size` further bytes."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


BOMBS: dict[str, tuple[bytes, type[ClientError]]] = {
    "PNG of 50,000 x 50,000": (bombs.png(50_000, 50_000), ImageTooLarge),
    "PNG of 7,000 x 7,000 in a few bytes": (bombs.png(7_000, 7_000), ImageCorrupt),
    "GIF of 65,535 x 65,535": (bombs.gif((65_535, 65_535), (0, 0, 1, 1)), ImageTooLarge),
    "GIF whose frame is to be cleared": (bombs.gif((1, 1), (0, 0, 12_000, 12_000), disposal=2), ImageTooLarge),
    "WebP of 16,383 x 16,383": (bombs.webp(16_383, 16_383), ImageTooLarge),
    "BMP of 30,000 x 30,000": (bombs.bmp(30_000, 30_000), ImageTooLarge),
    "BMP of 7,000 x 7,000 in a few bytes": (bombs.bmp(7_000, 7_000), ImageCorrupt),
    "JPEG of 65,500 x 65,500": (bombs.jpeg(65_500, 65_500), ImageTooLarge),
    "progressive JPEG of 65,500 x 65,500": (bombs.jpeg(65_500, 65_500, progressive=True), ImageTooLarge),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the bound on memory is Linux's")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_its_pixels_are_allocated(name: str) -> None:
    whole, expected = BOMBS[name]

    with memory_left(32 * 2**20), pytest.raises(expected):
        prepare(whole, crop(), LIMITS)


def test_no_bytes_are_an_empty_picture() -> None:
    with pytest.raises(ImageEmpty):
        read_header(b"", LIMITS)


@pytest.mark.parametrize(
    "whole",
    [
        bombs.png(0, 10),
        bombs.gif((0, 0), (0, 0, 0, 0)),
        bombs.bmp(0, 10),
        bombs.jpeg(16, 0),
    ],
    ids=["PNG", "GIF", "BMP", "JPEG"],
)
def test_a_picture_without_pixels_is_empty(whole: bytes) -> None:
    with pytest.raises(ImageEmpty, match="no pixels"):
        read_header(whole, LIMITS)


def test_too_many_bytes_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(ImageTooLarge) as caught:
        read_header(b"\0" * 11, Limits(max_bytes=10))

    assert caught.value.details == {"unit": "bytes", "limit": 10, "found": 11}


def test_too_many_pixels_are_told_with_limit_and_size() -> None:
    with pytest.raises(ImageTooLarge, match=r"5400 pixels \(90x60\)") as caught:
        read_header(encoded(photo(size=SMALL), "JPEG"), Limits(max_pixels=5_399))

    assert caught.value.details == {"unit": "pixels", "limit": 5_399, "found": 5_400}


def test_a_side_that_would_make_the_resize_cost_gigabytes_is_refused() -> None:
    rows = b"\0" * (1 + 3 * 1_000_000)

    with pytest.raises(ImageTooLarge) as caught:
        read_header(bombs.png(1_000_000, 1, rows), LIMITS)

    assert caught.value.details["unit"] == "pixels a side"


@pytest.mark.parametrize("picture_format", ["PNG", "GIF", "WEBP"])
def test_too_many_frames_are_refused(picture_format: str) -> None:
    frames = [photo(name, SMALL) for name in ("coffee", "astronaut")]
    whole = encoded(photo(size=SMALL), picture_format, save_all=True, append_images=frames)

    with pytest.raises(ImageTooLarge) as caught:
        read_header(whole, Limits(max_frames=2))

    assert caught.value.details == {"unit": "frames", "limit": 2, "found": 3}
    assert read_header(whole, Limits(max_frames=3)).frames == 3


def test_a_jpeg_with_a_hundred_scans_is_refused() -> None:
    with pytest.raises(ImageTooLarge) as caught:
        read_header(bombs.many_scans(MAX_SCANS), LIMITS)

    assert caught.value.details["unit"] == "scans"


def test_scans_hidden_behind_a_comment_that_looks_like_the_end_are_counted() -> None:
    whole = bombs.many_scans(MAX_SCANS)
    second = whole.index(b"\xff\xda", whole.index(b"\xff\xda") + 2)
    hidden = whole[:second] + b"\xff\xfe\x00\x04\xff\xd9" + whole[second:]

    with pytest.raises(ImageTooLarge):
        read_header(hidden, LIMITS)


def test_what_looks_like_scans_after_the_end_of_a_jpeg_is_not_counted() -> None:
    whole = encoded(photo(size=SMALL), "JPEG", progressive=True)

    assert read_header(whole + b"\xff\xda" * MAX_SCANS, LIMITS).width == SMALL[0]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_a_truncated_picture_is_corrupt(picture_format: str, share: float) -> None:
    whole = encoded(photo(size=SMALL), picture_format)

    with pytest.raises(ImageCorrupt, match=f"the {picture_format} is damaged") as caught:
        decode(read_header(whole[: int(len(whole) * share)], LIMITS))

    assert caught.value.details["format"] == picture_format


def test_a_corrupt_picture_keeps_pillows_error_as_its_cause() -> None:
    whole = encoded(photo(size=SMALL), "JPEG")

    with pytest.raises(ImageCorrupt) as caught:
        decode(read_header(whole[:-300], LIMITS))

    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10", "cut off"),
        (b"\xff\xd8\xff\xd9", "ends before its pixels"),
        (b"\xff\xd8\xff\xdb\x00\x00\x00\x00", "cut off"),
        (b"\xff\xd8\xff\xda\x00\x08" + bytes(20), "before its frame header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "header chunk"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0", "requires a buffer"),
        (bombs.png(4, 4).split(b"IDAT")[0][:-4], "no pixels"),
        (b"GIF89a", "requires a buffer"),
        (b"GIF89a" + bytes(20), "no frame"),
        (b"RIFF\0\0\0\0WEBPALPH" + bytes(20), "first chunk"),
        (b"RIFF\0\0\0\0WEBP", "first chunk"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "requires a buffer"),
    ],
)
def test_a_container_that_makes_no_sense_is_corrupt(whole: bytes, message: str) -> None:
    with pytest.raises(ImageCorrupt, match=message):
        read_header(whole, LIMITS)


def test_a_jpeg_with_two_frame_headers_is_corrupt() -> None:
    whole = encoded(photo(size=SMALL), "JPEG")
    frame = whole.index(b"\xff\xc0")

    with pytest.raises(ImageCorrupt, match="two frame headers"):
        read_header(whole[:frame] + whole[frame : frame + 19] + whole[frame:], LIMITS)


def test_a_compressed_bmp_is_unsupported() -> None:
    with pytest.raises(ImageUnsupported, match="compressed"):
        read_header(bombs.bmp(40, 40, compression=1, bits=8), LIMITS)


def test_a_text_that_begins_with_bm_is_not_taken_for_a_bmp() -> None:
    with pytest.raises(ImageUnsupported, match="looks like text"):
        read_header(b"BMW builds cars in Munich.", LIMITS)


def test_texts_and_profiles_that_unpack_to_gigabytes_are_left_packed() -> None:
    image = photo(size=SMALL)
    long = zlib.compress(bytes(50 * 2**20), 9)
    texts = [
        bombs.chunk(b"zTXt", b"Comment\0\0" + long),
        bombs.chunk(b"iTXt", b"Comment\0\1\0\0\0" + long),
        bombs.chunk(b"iCCP", b"profile\0\0" + long),
    ]
    whole = encoded(image, "PNG")
    stuffed = whole[:33] + b"".join(texts) + whole[33:]
    with pytest.raises(ValueError, match="too large"):
        Image.open(io.BytesIO(stuffed))

    assert np.array_equal(np.asarray(decode(read_header(stuffed, LIMITS)).image), np.asarray(image))


def test_a_png_with_thousands_of_texts_is_decoded() -> None:
    info = PngImagePlugin.PngInfo()
    for number in range(2_000):
        info.add_text(f"key{number}", "x" * 100)

    assert decode(read_header(encoded(photo(size=SMALL), "PNG", pnginfo=info), LIMITS)).width == SMALL[0]


@pytest.mark.parametrize("frames", [0, 2**32 - 1])
def test_an_apng_that_lies_about_its_frames_never_fails_with_another_error(frames: int) -> None:
    control = bombs.chunk(b"acTL", struct.pack(">II", frames, 0))
    whole = encoded(photo(size=SMALL), "PNG")
    lying = whole[:33] + control + whole[33:]

    if frames:
        with pytest.raises(ImageTooLarge):
            read_header(lying, LIMITS)
    else:
        assert read_header(lying, LIMITS).frames == 1


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"not a TIFF structure at all",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x01\0\0\0\x06\0\0\0",
        bytes(range(256)) * 255,
    ],
    ids=["empty", "cut", "far", "crowded", "text", "orientation 99", "orientation as text", "65 KB of noise"],
)
def test_a_broken_exif_block_does_not_fail_the_picture(block: bytes) -> None:
    whole = encoded(photo(size=SMALL), "JPEG", exif=b"Exif\0\0" + block)

    header = read_header(whole, LIMITS)

    assert header.orientation == 1
    assert decode(header).image.size == SMALL


def test_pillows_own_bound_on_pixels_is_not_touched_and_does_not_speak() -> None:
    before = Image.MAX_IMAGE_PIXELS
    whole = encoded(Image.new("1", (9_600, 9_600)), "PNG")

    header = read_header(whole, Limits(max_pixels=100_000_000))

    assert header.width * header.height > (before or 0)
    assert before == Image.MAX_IMAGE_PIXELS


def test_over_twice_pillows_own_bound_a_webp_is_too_large_and_not_corrupt() -> None:
    with pytest.raises(ImageTooLarge, match="decompression bomb"):
        decode(read_header(bombs.webp(16_383, 16_383), Limits(max_pixels=300_000_000)))


@pytest.mark.parametrize(
    "wrong", [{"formats": frozenset({"EPS"})}, {"formats": frozenset()}, {"max_bytes": 0}, {"max_pixels": -1}]
)
def test_limits_that_no_picture_could_meet_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\x00", b"\xff\xd0"], ids=["fill bytes", "zeros", "markers"])
def test_a_jpeg_that_is_filled_up_between_its_segments_is_given_up_soon(filling: bytes) -> None:
    whole = encoded(photo(size=SMALL), "JPEG")
    stuffed = whole[:2] + filling * (2**20 // len(filling)) + whole[2:]
    with pytest.raises(ImageCorrupt, match="between two segments"):
        read_header(stuffed, LIMITS)


def test_a_jpeg_with_a_few_fill_bytes_is_read() -> None:
    whole = encoded(photo(size=SMALL), "JPEG")
    assert read_header(whole[:2] + b"\xff" * 100 + whole[2:], LIMITS).width == SMALL[0]


def test_a_png_of_empty_chunks_is_given_up_soon() -> None:
    whole = encoded(photo(size=SMALL), "PNG")
    empty = struct.pack(">I4sI", 0, b"IDAT", zlib.crc32(b"IDAT"))
    with pytest.raises(ImageCorrupt, match="chunks"):
        read_header(whole[:33] + empty * 100_001 + whole[33:], LIMITS)


def test_a_webp_of_empty_chunks_is_given_up_soon() -> None:
    whole = bombs.webp(10, 10)[:30] + b"none\0\0\0\0" * 100_000

    with pytest.raises(ImageCorrupt, match="chunks"):
        read_header(whole, Limits())
