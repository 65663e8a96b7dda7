"""The way back: from the pixels of the model's input to those of the original picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transformer.pictures.placement import Placement


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a picture was brought into the model's input: ``input = original * scale + offset``, per axis.

    `width` and `height` are those of the original picture as a person sees it, in pixels.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    offset_x: int
    offset_y: int

    @classmethod
    def of(cls, width: int, height: int, placement: Placement) -> Geometry:
        """Return the geometry of an original of `width` x `height` that lies as `placement` says.

        The scales are those of the sides after rounding, per axis, so the edges of the original map to its edges.
        """
        return cls(width, height, placement.width / width, placement.height / height, placement.left, placement.top)

    def to_original(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map boxes to the original picture.

        `boxes` is [n, 4] float32, left, top, right, bottom in pixels of the model's input. The answer is a new array of
        the same kind in pixels of the original, clipped to it.
        """
        offset = np.array([self.offset_x, self.offset_y] * 2, np.float32)
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        bounds = np.array([self.width, self.height] * 2, np.float32)
        original: NDArray[np.float32] = (boxes - offset) / scale
        return original.clip(0, bounds, out=original)

    def centers(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the centres of the original's pixels lie in the model's input, in its pixels.

        The first is x, [width], and the second y, [height]. Those that a crop cuts off lie outside of the input.
        """
        x = np.arange(0.5, self.width, dtype=np.float64) * self.scale_x + self.offset_x
        y = np.arange(0.5, self.height, dtype=np.float64) * self.scale_y + self.offset_y
        return x, y
