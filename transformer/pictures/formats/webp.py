"""WebP (RFC 9649): the canvas, the number of frames, and EXIF.

The size is read here because Pillow's reader allocates the canvas while it opens the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from transformer.pictures.formats.outline import Outline, Weight

_WEIGHT = Weight(peak=16, kept=4)
"""Four pictures of four channels: two of libwebp's decoder of animations, which Pillow uses for all, and two of
Pillow's."""


def is_webp(head: bytes) -> bool:
    """Whether `head` begins as a WebP does."""
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def outline(encoded: bytes) -> Outline:
    """Read the chunks.

    Raises:
        ValueError: the first chunk is none that WebP begins with.
        struct.error: the first chunk is cut off.
    """
    width, height = _canvas(encoded)
    frames = 0
    exif = b""
    for name, start, end in _chunks(encoded):
        if name == b"ANMF":
            frames += 1
        elif name == b"EXIF" and not exif:
            exif = encoded[start:end]
    return Outline(width, height, encoded, _WEIGHT, frames=max(1, frames), exif=exif)


def _canvas(encoded: bytes) -> tuple[int, int]:
    """Read width and height from the first chunk (RFC 9649, sections 2.5 to 2.7; RFC 6386, section 9.1)."""
    name = encoded[12:16]
    if name == b"VP8X":
        low, high = struct.unpack_from("<IH", encoded, 24)
        return (low & 0xFFFFFF) + 1, (high << 8 | low >> 24) + 1
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", encoded, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == b"VP8 ":
        width, height = struct.unpack_from("<HH", encoded, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError(f"its first chunk is {name!r}")


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name and where its payload begins and ends; payloads are padded to an even length."""
    position = 12
    while position + 8 <= len(encoded):
        (length,) = struct.unpack_from("<I", encoded, position + 4)
        start = position + 8
        yield encoded[position : position + 4], start, start + length
        position = start + length + (length & 1)
