"""A mask over a part of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A mask, [h, w] bool, whose top left lies at `left`, `top` of a picture of `width` x `height`; nothing else of
    the picture is of it.
    """

    mask: NDArray[np.bool_]
    left: int
    top: int
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """How many pixels are of the mask."""
        return int(np.count_nonzero(self.mask))

    def cut(self) -> Patch:
        """Return the same mask with nothing around it; of the size 0 x 0 where it is empty."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if not rows.size:
            return Patch(np.zeros((0, 0), np.bool_), 0, 0, self.width, self.height)
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        return Patch(
            self.mask[top:bottom, left:right], self.left + int(left), self.top + int(top), self.width, self.height
        )

    @property
    def box(self) -> Box:
        """The patch's left, top, right and bottom, in pixels of the picture."""
        height, width = self.mask.shape
        return self.left, self.top, self.left + width, self.top + height

    def whole(self) -> NDArray[np.uint8]:
        """Return [height, width] uint8 of the whole picture, 0 and 1."""
        whole = np.zeros((self.height, self.width), np.uint8)
        self.draw(whole)
        return whole

    def bits(self) -> NDArray[np.uint8]:
        """Return the whole picture's rows with eight pixels in a byte, the first in its highest bit.

        Only the patch itself is ever held with a byte for each pixel.
        """
        left, top, _, bottom = self.box
        bits = np.zeros((self.height, -(-self.width // 8)), np.uint8)
        first = left // 8
        packed = np.packbits(np.pad(self.mask, ((0, 0), (left - 8 * first, 0))), axis=1)
        bits[top:bottom, first : first + packed.shape[1]] = packed
        return bits

    def draw(self, ground: NDArray[np.uint8]) -> None:
        """Write the mask to `ground`, which the picture is the top left of."""
        left, top, right, bottom = self.box
        ground[top:bottom, left:right] = self.mask
