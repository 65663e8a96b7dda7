"""What is told of a picture by its container alone."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Weight:
    """The bytes of memory that a picture takes, as Pillow and its libraries hold it."""

    peak: int
    """Of each decoded pixel while it is decoded and brought to RGB or grey, all copies and buffers together."""
    kept: int
    """Of each decoded pixel from then on: 4 of RGB, 1 of grey."""
    beside: int = 0
    """Of the whole picture while it is decoded, to whatever scale."""


COLOR = Weight(peak=4, kept=4)
GREY = Weight(peak=1, kept=1)
BLACK_AND_WHITE = Weight(peak=1 + 1, kept=1)
PALETTE = Weight(peak=1 + 4, kept=4)
FOUR_CHANNELS = Weight(peak=4 + 4, kept=4)
"""RGB and alpha, or CMYK."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A picture before any of its pixels was read.

    `width` and `height` are as stored, before the EXIF turn. `stream` is what the decoder is given: the container
    without the parts that no pixel depends on, which is where most faults of decoders are found.
    """

    width: int
    height: int
    stream: bytes = field(repr=False)
    weight: Weight
    frames: int = 1
    exif: bytes = field(default=b"", repr=False)
    """The TIFF structure of the EXIF block, or nothing."""
    holds: int | None = None
    """The most pixels that the encoded bytes can stand for; None where the format sets no bound."""
