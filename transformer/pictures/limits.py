"""How large a picture may be: asked of its header, before a pixel is allocated."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from transformer.pictures.formats import FORMATS

DEFAULT_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "BMP", "GIF"})
"""TIFF is known, and off: its reader is a large C library with a long record of faults."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a picture may ask of the server."""

    max_bytes: int = 20 * 2**20
    """The most bytes, encoded. 20 MiB holds what any phone takes."""
    max_pixels: int = 50_000_000
    """The most pixels of the whole picture, width times height."""
    max_side: int = 65_535
    """The most pixels of one side, which is also the most that a JPEG can have. A resize keeps weights for each pixel
    of a side, so that a picture one pixel high, within `max_pixels`, could take gigabytes of them."""
    max_frames: int = 1_000
    """The most frames of an animation, of which only the first is used."""
    max_memory: int = sys.maxsize
    """The most bytes of memory that it takes while it is decoded and resized, told by its header."""
    formats: frozenset[str] = DEFAULT_FORMATS
    """The allowed formats, by Pillow's names. JPEG covers MPO, the JPEGs with several pictures that phones write."""

    def __post_init__(self) -> None:
        """Refuse what no picture could meet.

        Raises:
            ValueError: a format is not known, none is allowed, or a number is not positive.
        """
        if not self.formats or not self.formats <= FORMATS.keys():
            raise ValueError(f"formats is {sorted(self.formats)}: choose from {', '.join(FORMATS)}")
        for name in ("max_bytes", "max_pixels", "max_side", "max_frames", "max_memory"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
