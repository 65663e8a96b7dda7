"""WebP (RFC 9649): the canvas, the number of frames, EXIF, and what prefix codes take.

The size is read here because Pillow's reader allocates the canvas while it opens the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from transformer.pictures.formats.outline import Outline, Weight
from transformer.pictures.formats.vp8l import prefix_code_bytes

MAX_CHUNKS = 100_000
"""The most chunks of one picture: a frame takes three. An empty chunk is 8 bytes, and each is looked at."""

_WEIGHT = Weight(peak=16, kept=4)
"""Four pictures of four channels: two of libwebp's decoder of animations, which Pillow uses for all, and two of
Pillow's."""
_WITH_ALPH = Weight(peak=18, kept=4)
"""And of a picture that is stored with loss the alpha, twice."""
_COPIES = 2
"""Of the file, while Pillow reads it."""
_BESIDE_CODES = 13
"""The bytes of each pixel while there are prefix codes: two of the four pictures, what VP8L decodes to, and either its
transforms or the alpha."""
_PIXELS = frozenset({b"VP8 ", b"VP8L"})
_FRAME_SIDES = 6
_FRAME_HEADER = 16
_VP8L_HEADER = 5
_ALPH_HEADER = 1
_METHOD, _LIKE_VP8L = 0b11, 1
"""Of ALPH's header: the bits of how the alpha is stored, and what they are where that is as in VP8L."""


def is_webp(head: bytes) -> bool:
    """Whether `head` begins as a WebP does."""
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def outline(encoded: bytes) -> Outline:
    """Read the chunks, and of what is stored without loss as much as tells how many prefix codes there are.

    Raises:
        ValueError: the first chunk is none that WebP begins with, or prefix codes make no sense.
        struct.error: a chunk is cut off.
    """
    width, height = _canvas(encoded)
    frames = 0
    exif = b""
    for name, start, end in _chunks(encoded):
        if name == b"ANMF":
            frames += 1
        elif name == b"EXIF" and not exif:
            exif = encoded[start:end]
    codes, weight = _codes_and_weight(encoded, (width, height))
    over = max(0, codes - (weight.peak - _BESIDE_CODES) * width * height)
    weight = replace(weight, beside=_COPIES * len(encoded) + over)
    return Outline(width, height, encoded, weight, frames=max(1, frames), exif=exif)


def _canvas(encoded: bytes) -> tuple[int, int]:
    """Read width and height from the first chunk (RFC 9649, sections 2.5 to 2.7; RFC 6386, section 9.1)."""
    name = encoded[12:16]
    if name == b"VP8X":
        return _sides(encoded, 24)
    if name == b"VP8L":
        return _vp8l_sides(encoded, 20)
    if name == b"VP8 ":
        width, height = struct.unpack_from("<HH", encoded, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError(f"its first chunk is {name!r}")


def _sides(encoded: bytes, position: int) -> tuple[int, int]:
    low, high = struct.unpack_from("<IH", encoded, position)
    return (low & 0xFFFFFF) + 1, (high << 8 | low >> 24) + 1


def _vp8l_sides(encoded: bytes, start: int) -> tuple[int, int]:
    (bits,) = struct.unpack_from("<I", encoded, start + 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _codes_and_weight(encoded: bytes, sides: tuple[int, int]) -> tuple[int, Weight]:
    """Return the bytes that prefix codes take, and what pixels do: of the first frame, or of a picture without frames,
    which has the canvas' `sides`.
    """
    codes, weight = 0, _WEIGHT
    for name, start, end in _chunks(encoded):
        if name == b"ANMF":
            sides = _sides(encoded, start + _FRAME_SIDES)
        elif name == b"ALPH" and weight is not _WITH_ALPH:
            weight = _WITH_ALPH
            if encoded[start] & _METHOD == _LIKE_VP8L:
                codes = prefix_code_bytes(encoded, start + _ALPH_HEADER, end, *sides)
        elif name == b"VP8L":
            codes = max(codes, prefix_code_bytes(encoded, start + _VP8L_HEADER, end, *_vp8l_sides(encoded, start)))
        if name in _PIXELS:
            break
    return codes, weight


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk, and where its payload begins and ends; payloads are padded to an even length.

    Chunks of a frame come behind it, and not within: so libwebp takes them, which goes on where a frame ends for it,
    whatever its length says.
    """
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(encoded):
            return
        name = encoded[position : position + 4]
        (length,) = struct.unpack_from("<I", encoded, position + 4)
        start = position + 8
        yield name, start, min(start + length, len(encoded))
        position = start + (_FRAME_HEADER if name == b"ANMF" else length + (length & 1))
    raise ValueError(f"it has more than {MAX_CHUNKS} chunks")
