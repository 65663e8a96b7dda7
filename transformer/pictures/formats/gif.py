"""GIF (CompuServe GIF89a): the canvas, the first frame's place, and the number of frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from transformer.pictures.formats.outline import Outline, Weight

_WEIGHT = Weight(peak=1 + 1 + 4, kept=4)
"""A palette's, and what the frame's place is cleared with."""
_EXTENSION, _FRAME = 0x21, 0x2C


def is_gif(head: bytes) -> bool:
    """Whether `head` begins as a GIF does."""
    return head.startswith((b"GIF87a", b"GIF89a"))


def outline(encoded: bytes) -> Outline:
    """Read the blocks, as far as they are whole.

    The canvas grows where the first frame reaches beyond it, as in Pillow.

    Raises:
        ValueError: there is no frame.
        struct.error, IndexError: the header is cut off.
    """
    width, height, flags = struct.unpack_from("<HHB", encoded, 6)
    frames = 0
    for place in _frames(encoded, 13 + _colors(flags)):
        frames += 1
        if frames == 1:
            left, top, frame_width, frame_height = place
            width, height = max(width, left + frame_width), max(height, top + frame_height)
    if not frames:
        raise ValueError("it has no frame")
    return Outline(width, height, encoded, _WEIGHT, frames=frames)


def _frames(encoded: bytes, position: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each frame's left, top, width and height, in pixels, up to where the blocks end or make no sense."""
    while position + 10 < len(encoded):
        block = encoded[position]
        if block == _EXTENSION:
            position = _after_data(encoded, position + 2)
        elif block == _FRAME:
            left, top, width, height, flags = struct.unpack_from("<HHHHB", encoded, position + 1)
            yield left, top, width, height
            position = _after_data(encoded, position + 11 + _colors(flags))
        elif block == 0:
            position += 1
        else:
            return


def _colors(flags: int) -> int:
    """Return how many bytes the color table takes that `flags` announces."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_data(encoded: bytes, position: int) -> int:
    """Return where the data sub-blocks end that begin at `position`."""
    total = len(encoded)
    while position < total and (size := encoded[position]):
        position += size + 1
    return position + 1
