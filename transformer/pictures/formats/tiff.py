"""TIFF 6.0, which is off by default: Pillow's own reading of the first directory, which allocates no pixels."""

from __future__ import annotations

from io import BytesIO

from PIL.TiffImagePlugin import TiffImageFile

from transformer.pictures.formats.outline import Outline, Weight

_WEIGHT = Weight(peak=4 + 8, kept=4)
"""A strip or a tile, of up to four channels of 16 bits, may be the whole picture."""


def is_tiff(head: bytes) -> bool:
    """Whether `head` begins as a TIFF or BigTIFF does."""
    return head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def outline(encoded: bytes) -> Outline:
    """Read the directories.

    There is no EXIF: Pillow turns a TIFF itself while it decodes it, and tells the size as turned.

    Raises:
        OSError, SyntaxError, ValueError and others of Pillow's: the first directory cannot be read.
    """
    with TiffImageFile(BytesIO(encoded)) as picture:
        width, height = picture.size
        return Outline(width, height, encoded, _WEIGHT, frames=picture.n_frames)
