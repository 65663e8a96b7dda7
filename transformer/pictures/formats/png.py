"""PNG (W3C PNG, third edition): the chunks.

The decoder is given the header, the palette and the pixels, and no other chunk. So compressed texts and profiles are
never unpacked, and of an animation (APNG) the still picture is read, which a viewer without animations shows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from transformer.pictures.formats.outline import BLACK_AND_WHITE, COLOR, FOUR_CHANNELS, GREY, PALETTE, Outline, Weight

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_WEIGHTS = {
    (0, 1): BLACK_AND_WHITE,
    (0, 16): Weight(peak=2 + 2 + 2 + 2, kept=1),
    0: GREY,
    2: COLOR,
    3: PALETTE,
    4: Weight(peak=4 + 1, kept=1),
    6: FOUR_CHANNELS,
}
"""By the color type, or by that and the bit depth."""
_DEFLATE_RATIO = 1032
"""The most bytes that deflate makes from one: 258 from a match of two bits (zlib technical details, zlib.net)."""


MAX_CHUNKS = 100_000
"""The most chunks of one picture: 64 MiB in the 8 KiB pieces that encoders write make a tenth of them. An empty chunk
is 12 bytes, and each is looked at."""


def is_png(head: bytes) -> bool:
    """Whether `head` begins as a PNG does."""
    return head.startswith(_SIGNATURE)


def outline(encoded: bytes) -> Outline:
    """Read the chunks.

    Raises:
        ValueError: the header is not the first chunk, or no pixels follow it.
        struct.error: the header is cut off.
    """
    if encoded[12:16] != b"IHDR":
        raise ValueError("it does not begin with its header chunk")
    width, height, depth, color = struct.unpack_from(">IIBB", encoded, 16)
    palette = exif = b""
    frames = 1
    pixels: list[tuple[int, int]] = []
    for name, start, end in _chunks(encoded):
        if name == b"IDAT":
            pixels.append((start, end))
        elif name == b"PLTE" and not pixels:
            palette = encoded[start:end]
        elif name == b"acTL" and not pixels:
            frames = max(1, *struct.unpack_from(">I", encoded, start + 8))
        elif name == b"eXIf":
            exif = encoded[start + 8 : end - 4]
    if not pixels:
        raise ValueError("it has no pixels")
    view = memoryview(encoded)
    stored = sum(end - start - 12 for start, end in pixels)
    return Outline(
        width,
        height,
        b"".join([view[:33], palette, *(view[start:end] for start, end in pixels)]),
        _WEIGHTS.get((color, depth)) or _WEIGHTS.get(color, FOUR_CHANNELS),
        frames=frames,
        exif=exif,
        holds=stored * _DEFLATE_RATIO * 8 // (depth * _CHANNELS[color]) if depth and color in _CHANNELS else None,
    )


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's name, where it begins and where it ends; the last may be cut off."""
    position = len(_SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(encoded):
            return
        (length,) = struct.unpack_from(">I", encoded, position)
        end = min(position + 12 + length, len(encoded))
        yield encoded[position + 4 : position + 8], position, end
        position = end
    raise ValueError(f"it has more than {MAX_CHUNKS} chunks")
