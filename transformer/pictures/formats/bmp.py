"""BMP (Microsoft's BITMAPINFOHEADER and its kin): size, depth and where the pixels are."""

from __future__ import annotations

import struct

from serving.errors import ImageUnsupported
from transformer.pictures.formats.outline import COLOR, FOUR_CHANNELS, PALETTE, Outline

_OS2_HEADER = 12
_HEADERS = frozenset({_OS2_HEADER, 40, 52, 56, 64, 108, 124})
_PLAIN = frozenset({0, 3})
"""BI_RGB and BI_BITFIELDS."""
_INDEXED, _RGB = 8, 24
"""The most bits of a pixel that names one of a palette, and of one without alpha."""
_BELOW_ZERO = 0xFF000000


def is_bmp(head: bytes) -> bool:
    """Whether `head` begins as a BMP does: its two letters alone also begin many a text."""
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _HEADERS


def outline(encoded: bytes) -> Outline:
    """Read the header.

    Raises:
        struct.error: the header is cut off.
        ImageUnsupported: the pixels are compressed. Pillow unpacks run lengths in Python, byte by byte, so that a
            small file holds a thread for seconds; and no camera or tool of today writes them.
    """
    (offset,) = struct.unpack_from("<I", encoded, 10)
    (header,) = struct.unpack_from("<I", encoded, 14)
    if header == _OS2_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", encoded, 18)
    else:
        width, height, _, bits, compression = struct.unpack_from("<IIHHI", encoded, 18)
        # A height below zero says that the rows go downwards; Pillow looks for it in the first byte alone.
        height = 2**32 - height if height >= _BELOW_ZERO else height
        if compression not in _PLAIN:
            raise ImageUnsupported(
                f"this BMP is compressed (method {compression}): send it uncompressed, or as PNG",
                compression=compression,
            )
    pixels = len(encoded) - max(offset, 14 + header)
    weight = PALETTE if bits <= _INDEXED else COLOR if bits <= _RGB else FOUR_CHANNELS
    return Outline(width, height, encoded, weight, holds=max(0, pixels) * 8 // bits if bits else None)
