"""How many prefix codes a lossless WebP has is found behind its transforms."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from PIL import Image

from serving.errors import ImageCorrupt
from tests.photos import encoded, photo
from transformer.pictures import Limits, read_header
from transformer.pictures.formats import vp8l
from transformer.pictures.formats.vp8l import MAX_SYMBOLS, prefix_code_bytes

from .bombs import Bits, lossless

SIDES = (300, 200)
PICTURES: dict[str, Callable[[], Image.Image]] = {
    "photo": lambda: photo("coffee"),
    "small": lambda: photo("chelsea", (37, 23)),
    "one pixel": lambda: photo("chelsea", (1, 1)),
    "alpha": lambda: photo("astronaut").convert("RGBA").rotate(30),
    **{
        f"{colors} colors": lambda colors=colors: photo("china", SIDES).quantize(colors).convert("RGB")  # type: ignore[misc]
        for colors in (1, 2, 4, 16, 200)
    },
}


def behind_header(whole: bytes) -> tuple[vp8l._Bits, int, int]:
    assert whole[12:16] == b"VP8L"
    (sides,) = struct.unpack_from("<I", whole, 21)
    (length,) = struct.unpack_from("<I", whole, 16)
    return vp8l._Bits(whole, 8 * 25, 8 * (20 + length)), (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1


@pytest.mark.parametrize("method", [0, 2, 4, 6])
@pytest.mark.parametrize("name", PICTURES)
def test_what_an_encoder_writes_is_read_to_the_codes_of_the_pixels(name: str, method: int) -> None:
    whole = encoded(PICTURES[name](), "WEBP", lossless=True, method=method)
    bits, width, height = behind_header(whole)

    blocks, cache = vp8l._blocks(bits, width, height)
    if blocks > 1:
        vp8l._pass_picture(bits, blocks)
    for size in (256 + 24 + (1 << cache if cache else 0), 256, 256, 256, 40):
        vp8l._code(bits, size)  # anything else than a code is hardly ever complete

    assert bits.position < bits.end
    assert read_header(whole, Limits()).width == width


def test_a_transform_of_too_many_symbols_is_taken_for_the_worst() -> None:
    side = 4 * int(MAX_SYMBOLS**0.5) + 4
    bits = Bits()
    bits.add((1, 1), (0, 2), (0, 3), (0, 1))
    bits.two_symbols()
    bits.one_symbol(4)
    few = bytes(bits)
    whole = few + bytes(MAX_SYMBOLS // 2)

    assert prefix_code_bytes(whole, 0, len(whole), side, side) > 2**16 * 10_000
    with pytest.raises(ValueError, match="it ends before its pixels"):
        prefix_code_bytes(whole, 0, len(few) + 10, side, side)


def incomplete(bits: Bits) -> None:
    bits.add((0, 1), (0, 4), *[(0, 3)] * 4)


def too_long(bits: Bits) -> None:
    bits.add((0, 1), (0, 4), (0, 3), (1, 3), (0, 3), (0, 3), (0, 1), *[(127, 7)] * 3)


@pytest.mark.parametrize("code", [incomplete, too_long])
def test_a_code_that_no_decoder_takes_is_a_damaged_picture(code: Callable[[Bits], None]) -> None:
    bits = Bits()
    bits.add((0x2F, 8), (63, 14), (63, 14), (0, 1), (0, 3))
    bits.add((1, 1), (0, 2), (0, 3), (0, 1))
    code(bits)
    payload = bytes(bits) + bytes(1000)
    whole = b"RIFF" + struct.pack("<I", len(payload) + 12) + b"WEBPVP8L" + struct.pack("<I", len(payload)) + payload

    with pytest.raises(ImageCorrupt, match="prefix code"):
        read_header(whole, Limits())


@pytest.mark.parametrize("kinds", [(0, 0), (2, 2)])
def test_no_transform_is_there_twice(kinds: tuple[int, int]) -> None:
    bits = Bits()
    for kind in kinds:
        bits.add((1, 1), (kind, 2))
        if kind == 0:
            bits.add((0, 3), (0, 1))
            bits.one_symbol(5)
    whole = bytes(bits) + bytes(100)

    with pytest.raises(ValueError, match="a transform twice"):
        prefix_code_bytes(whole, 0, len(whole), 64, 64)


def test_there_are_no_more_groups_than_blocks_or_than_the_file_has_bits_for() -> None:
    of_64 = lossless(64)

    assert prefix_code_bytes(of_64, 0, len(of_64), 64, 64) == 256 * prefix_code_bytes(b"\0" * 9, 0, 9, 64, 64)
    assert prefix_code_bytes(of_64, 0, len(of_64), 4096, 4096) < 600 * prefix_code_bytes(b"\0" * 9, 0, 9, 64, 64)
