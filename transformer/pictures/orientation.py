"""EXIF orientation: the tag, the turn that it asks for, and where a box lies after it.

Read here and not by Pillow, because orientation is all that is wanted of EXIF, and a broken block must cost neither the
picture nor a warning. As in browsers and OpenCV only EXIF counts; an orientation in XMP is ignored.
"""

from __future__ import annotations

import struct

from PIL.Image import Transpose

UPRIGHT = 1
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What brings a stored picture upright, by the value of the tag (EXIF 2.32, 4.6.4 A; Pillow turns counterclockwise)."""
SIDEWAYS = frozenset({5, 6, 7, 8})
"""The orientations that exchange width and height."""

_TAG = 0x0112
_ENTRY = 12
_VALUES = {3: "H", 4: "I"}
"""The datatypes of a count, SHORT (as the standard has it) and LONG, as `struct` spells them."""
_FROM_THE_RIGHT = frozenset({2, 3, 6, 7})
_FROM_THE_BOTTOM = frozenset({3, 4, 7, 8})


def orientation_of(exif: bytes) -> int:
    r"""Return the orientation, 1 to 8, that an EXIF block asks for: 1 where it is missing, broken or silent.

    `exif` is a TIFF structure, with or without the prefix ``Exif\0\0``.
    """
    try:
        return _orientation_of(exif.removeprefix(b"Exif\0\0"))
    except struct.error:
        return UPRIGHT


def _orientation_of(tiff: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for position in range(directory + 2, directory + 2 + entries * _ENTRY, _ENTRY):
        tag, datatype = struct.unpack_from(f"{order}HH", tiff, position)
        if tag == _TAG and datatype in _VALUES:
            value: int = struct.unpack_from(order + _VALUES[datatype], tiff, position + 8)[0]
            return value if value in TURNS else UPRIGHT
    return UPRIGHT


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return width and height after the turn."""
    return size[::-1] if orientation in SIDEWAYS else size


def turned_corner(
    size: tuple[int, int], extent: tuple[float, float], orientation: int
) -> tuple[float, float, float, float]:
    """Return where the box lies, after the turn, that spans `extent` from the top left of a picture of `size`.

    Both are widths and heights before the turn; the box is left, top, right, bottom.
    """
    (width, height), (across, down) = size, extent
    if orientation in SIDEWAYS:
        width, height, across, down = height, width, down, across
    left = width - across if orientation in _FROM_THE_RIGHT else 0.0
    top = height - down if orientation in _FROM_THE_BOTTOM else 0.0
    return left, top, left + across, top + down
