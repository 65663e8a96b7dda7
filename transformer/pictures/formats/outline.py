"""What is told of a picture by its container alone."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outline:
    """A picture before any of its pixels was read.

    `width` and `height` are as stored, before the EXIF turn. `stream` is what the decoder is given: the container
    without the parts that no pixel depends on, which is where most faults of decoders are found.
    """

    width: int
    height: int
    stream: bytes = field(repr=False)
    frames: int = 1
    exif: bytes = field(default=b"", repr=False)
    """The TIFF structure of the EXIF block, or nothing."""
    holds: int | None = None
    """The most pixels that the encoded bytes can stand for; None where the format sets no bound."""
