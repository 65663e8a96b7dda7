"""The canvas: how large a picture is drawn, and where a box of the original lies then."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

from PIL import Image

from transformer.drawing.content import Box
from transformer.drawing.palette import Color
from transformer.pictures import Header, Picture, decoded_size

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels of the canvas; right and bottom are the first ones outside."""

MAX_SIDE: Final = 2048
"""Larger pictures are reduced: on a screen nobody sees more of them."""
MIN_LONGEST: Final = 400
"""Smaller pictures are enlarged, each pixel to a square of them, so that there is room for a word."""
MIN_SHORTEST: Final = 120
"""As far as `MAX_SIDE` lets them, narrow pictures are enlarged to this."""
MIN_WIDTH: Final = 320
MIN_HEIGHT: Final = 96
"""What the canvas has at least; the picture then stands in the middle of it."""
MARGIN: Final[Color] = (32, 33, 36)

_PLACED_PIXEL: Final = 16
"""The most bytes of one pixel of the canvas, and of a picture that is brought to its size in two steps."""
_PAINTED_PIXEL: Final = 24
"""The most bytes of one pixel of the canvas and of the layers that are laid over it."""

SIDE_PER_FONT_SIZE: Final = 52
"""1280x853 gets letters of 20 pixels."""
FONT_SIZES: Final = (13, 28)


@dataclass(frozen=True, slots=True)
class Frame:
    """A canvas of `width` x `height` with the picture at `inner`; one pixel of the original takes `scale`."""

    width: int
    height: int
    inner: Rect
    scale: tuple[float, float]
    """Across and down; they differ by the rounding of the sides."""

    @classmethod
    def of(cls, width: int, height: int) -> Frame:
        """Return the canvas for a picture of `width` x `height`."""
        across, down = _drawn_size(width, height)
        whole = max(across, MIN_WIDTH), max(down, MIN_HEIGHT)
        left, top = (whole[0] - across) // 2, (whole[1] - down) // 2
        return cls(*whole, (left, top, left + across, top + down), (across / width, down / height))

    @property
    def inner_size(self) -> tuple[int, int]:
        """Width and height of the picture on the canvas."""
        left, top, right, bottom = self.inner
        return right - left, bottom - top

    @property
    def font_size(self) -> int:
        """The height of letters, in pixels, that suits the canvas."""
        low, high = FONT_SIZES
        return min(max(round(sqrt(self.width * self.height) / SIDE_PER_FONT_SIZE), low), high)

    def place(self, box: Box) -> Rect:
        """Return where a box of the original lies; it is clipped to the picture, and at least one pixel large."""
        (across, down), (left, top, right, bottom) = self.scale, self.inner
        x0, x1 = _span(left + box[0] * across, left + box[2] * across, left, right)
        y0, y1 = _span(top + box[1] * down, top + box[3] * down, top, bottom)
        return x0, y0, x1, y1

    def drawing_bytes(self, header: Header) -> int:
        """Return the bytes of memory that `canvas` takes at most, the decoded picture included, or what is painted
        then.
        """
        (width, height), (inner_width, inner_height) = decoded_size(header, self.inner_size), self.inner_size
        between = max(inner_width * height, width * inner_height)
        canvas = self.width * self.height
        placing = header.weight.kept * (width * height + between) + _PLACED_PIXEL * canvas
        return max(placing, _PAINTED_PIXEL * canvas)

    def canvas(self, picture: Picture) -> Image.Image:
        """Return the canvas, RGB, with the picture on it."""
        image = picture.image
        if image.size != self.inner_size:
            larger = self.inner_size[0] > picture.width
            filtered = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
            image = image.resize(self.inner_size, filtered, box=picture.extent, reducing_gap=None if larger else 2.0)
        if self.inner_size == (self.width, self.height):
            return image.convert("RGB")
        canvas = Image.new("RGB", (self.width, self.height), MARGIN)
        canvas.paste(image, self.inner)
        return canvas


def _drawn_size(width: int, height: int) -> tuple[int, int]:
    longest, shortest = max(width, height), min(width, height)
    if longest > MAX_SIDE:
        return max(1, round(width * MAX_SIDE / longest)), max(1, round(height * MAX_SIDE / longest))
    wanted = max(ceil(MIN_LONGEST / longest), ceil(MIN_SHORTEST / shortest))
    times = min(wanted, MAX_SIDE // longest)
    return width * times, height * times


def _span(start: float, end: float, low: int, high: int) -> tuple[int, int]:
    """Round a side of a box to whole pixels from `low` to `high`, at least one."""
    first = min(max(round(start), low), high - 1)
    return first, min(max(round(end), first + 1), high)
