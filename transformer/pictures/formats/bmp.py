"""BMP (Microsoft's BITMAPINFOHEADER and its kin): size, depth and where the pixels are."""

from __future__ import annotations

import struct

from serving.errors import ImageUnsupported
from transformer.pictures.formats.outline import BLACK_AND_WHITE, COLOR, FOUR_CHANNELS, GREY, PALETTE, Outline, Weight

_OS2_HEADER = 12
_HEADERS = frozenset({_OS2_HEADER, 40, 52, 56, 64, 108, 124})
_RGB, _BITFIELDS = 0, 3
"""How pixels are stored that are not compressed."""
_INDEXED, _WITH_ALPHA = 8, 32
"""Bits of a pixel: the most where it names a color of the palette; and where there may be alpha, if fields say so."""
_SHADES = bytes(range(256))
_TWO_SHADES = b"\x00\xff"
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
        compression = _RGB
    else:
        width, height, _, bits, compression = struct.unpack_from("<IIHHI", encoded, 18)
        # A height below zero says that the rows go downwards; Pillow looks for it in the first byte alone.
        height = 2**32 - height if height >= _BELOW_ZERO else height
        if compression not in {_RGB, _BITFIELDS}:
            raise ImageUnsupported(
                f"this BMP is compressed (method {compression}): send it uncompressed, or as PNG",
                compression=compression,
            )
    pixels = len(encoded) - max(offset, 14 + header)
    weight = _weight(encoded, header, bits, has_fields=compression == _BITFIELDS)
    return Outline(width, height, encoded, weight, holds=max(0, pixels) * 8 // bits if bits else None)


def _weight(encoded: bytes, header: int, bits: int, *, has_fields: bool) -> Weight:
    if bits > _INDEXED:
        return FOUR_CHANNELS if has_fields and bits == _WITH_ALPHA else COLOR
    size, stored = (3, 0) if header == _OS2_HEADER else (4, int.from_bytes(encoded[46:50], "little"))
    count = stored or 1 << bits
    palette = encoded[14 + header : 14 + header + size * count]
    shades = _TWO_SHADES if count == len(_TWO_SHADES) else _SHADES[:count]
    # Pillow decodes the palette of all shades in their order as grey.
    if len(shades) != count or any(palette[channel::size] != shades for channel in range(3)):
        return PALETTE
    return BLACK_AND_WHITE if count <= len(_TWO_SHADES) else GREY
