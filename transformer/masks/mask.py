"""Masks that are drawn when somebody asks for them: until then they are as small as the model's map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from serving.decoders import Array
from serving.decoders.segmentation import NO_CLASS
from transformer.masks.patch import Box, Patch
from transformer.masks.polygons import OF_LEVELS, OF_STEPS, Polygon, outlines
from transformer.masks.sampling import Sampling
from transformer.pictures import Prepared


class Mask(ABC):
    """A mask over an original picture."""

    @property
    @abstractmethod
    def area(self) -> int:
        """How many pixels of the original are looked at to draw it."""

    @abstractmethod
    def patch(self) -> Patch:
        """Draw it, with nothing around it."""

    @abstractmethod
    def polygons(self) -> list[Polygon]:
        """Return its outlines, each with its holes, in pixels of the original."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelMask(Mask):
    """What is at least `level` of a map of numbers, interpolated bilinearly."""

    values: Array
    """[h, w] over the model's input."""
    level: float
    sampling: Sampling
    """What of the original may be of the mask."""
    width: int
    height: int
    """Of the original, in pixels."""

    @property
    @override
    def area(self) -> int:
        return self.sampling.width * self.sampling.height

    @override
    def patch(self) -> Patch:
        mask = np.empty((self.sampling.height, self.sampling.width), np.bool_)
        self.draw(mask)
        return Patch(mask, self.sampling.left, self.sampling.top, self.width, self.height).cut()

    def draw(self, ground: NDArray[np.bool_]) -> None:
        """Write the mask to `ground`, which is as large as the window."""
        for start, rows in self.sampling.bilinear(self.values):
            np.greater_equal(rows, self.level, out=ground[start : start + len(rows)])

    @override
    def polygons(self) -> list[Polygon]:
        return outlines(self.values, self.level, self.sampling, OF_LEVELS)

    def levels(self) -> NDArray[np.uint8]:
        """Return the numbers themselves, 0..255, for each pixel of the original, [height, width]; 0 where the model saw
        nothing.
        """
        whole = np.zeros((self.height, self.width), np.uint8)
        left, top = self.sampling.left, self.sampling.top
        for start, rows in self.sampling.bilinear(self.values):
            whole[top + start : top + start + len(rows), left : left + self.sampling.width] = rows + 0.5
        return whole


@dataclass(frozen=True, slots=True, eq=False)
class MixedMask(Mask):
    """A `LevelMask` of a mix of prototypes, which is mixed only where and when it is drawn: an answer has up to a
    thousand of them.
    """

    coefficients: Array
    """FP32 [M]."""
    prototypes: Array
    """[M, h, w] over the model's input, shared by all masks of a picture."""
    level: float
    sampling: Sampling
    """What of the original may be of the mask."""
    width: int
    height: int
    """Of the original, in pixels."""

    @property
    @override
    def area(self) -> int:
        return self.sampling.width * self.sampling.height

    @override
    def patch(self) -> Patch:
        return self._mixed(self.sampling).patch()

    @override
    def polygons(self) -> list[Polygon]:
        return self._mixed(self.sampling).polygons()

    @property
    def window(self) -> Box:
        """The left, top, right and bottom of what may be of the mask."""
        left, top = self.sampling.left, self.sampling.top
        return left, top, left + self.sampling.width, top + self.sampling.height

    def thinned(self, longest: int) -> NDArray[np.bool_]:
        """Return the mask of every k-th pixel of the window, [h, w], so that no side is longer than `longest`."""
        step = max(1, -(-max(self.sampling.width, self.sampling.height) // longest))
        sampling = self.sampling.every(step)
        mask = np.zeros((sampling.height, sampling.width), np.bool_)
        self._mixed(sampling).draw(mask)
        return mask

    def _mixed(self, sampling: Sampling) -> LevelMask:
        """Mix what the window sees of the prototypes, with the points around it that are interpolated with."""
        rows, columns = sampling.nearest(self.prototypes.shape[1:])
        if not (rows.size and columns.size):
            return LevelMask(np.zeros((1, 1), np.float32), self.level, sampling, self.width, self.height)
        top, left = max(0, int(rows[0]) - 1), max(0, int(columns[0]) - 1)
        seen = self.prototypes[:, top : int(rows[-1]) + 2, left : int(columns[-1]) + 2].astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.tensordot(self.coefficients, seen, 1)
        return LevelMask(values, self.level, sampling.on_part(left, top), self.width, self.height)


@dataclass(frozen=True, slots=True, eq=False)
class ClassMask(Mask):
    """What is of one class in a class map."""

    classes: ClassGrid
    class_id: int
    box: Box

    @property
    @override
    def area(self) -> int:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    @override
    def patch(self) -> Patch:
        sampling = self.classes.sampling.within(self.box)
        rows, columns = sampling.nearest(self.classes.values.shape)
        mask = np.equal(self.classes.values, self.class_id)[:, columns][rows]
        return Patch(mask, self.box[0], self.box[1], self.classes.width, self.classes.height)

    @override
    def polygons(self) -> list[Polygon]:
        return outlines(self.classes.values == self.class_id, 0.5, self.classes.sampling, OF_STEPS)


@dataclass(frozen=True, eq=False)
class ClassGrid:
    """A class map, [h, w] uint8 over the model's input, and how the original lies on it: each pixel is of the class of
    the point that its centre is in.
    """

    values: NDArray[np.uint8]
    sampling: Sampling
    width: int
    height: int
    """Of the original, in pixels."""

    @classmethod
    def of(cls, values: NDArray[np.uint8], picture: Prepared) -> ClassGrid:
        """Return the grid of a picture's class map."""
        return cls(values, Sampling.of(picture, values.shape), picture.geometry.width, picture.geometry.height)

    @cached_property
    def pixels(self) -> Mapping[int, int]:
        """How many of the original's pixels each class has, of those that are there; without `NO_CLASS`.

        They are counted on the map, by how many pixels' centres lie in each point.
        """
        rows, columns = self.sampling.nearest(self.values.shape)
        down = np.bincount(rows, minlength=self.values.shape[0])
        across = np.bincount(columns, minlength=self.values.shape[1])
        counts = np.bincount(self.values.ravel(), np.outer(down, across).ravel(), minlength=NO_CLASS + 1)
        return {int(class_id): int(counts[class_id]) for class_id in np.flatnonzero(counts[:NO_CLASS])}

    def mask(self, class_id: int) -> ClassMask:
        """Return the mask of a class that is there."""
        rows, columns = self.sampling.nearest(self.values.shape)
        here = self.values[np.ix_(np.unique(rows), np.unique(columns))] == class_id
        top, bottom = _extent(np.unique(rows)[here.any(axis=1)], rows)
        left, right = _extent(np.unique(columns)[here.any(axis=0)], columns)
        x, y = self.sampling.left, self.sampling.top
        return ClassMask(self, class_id, (x + left, y + top, x + right, y + bottom))

    def whole(self) -> NDArray[np.uint8]:
        """Return the class of each pixel of the original, [height, width]; `NO_CLASS` where the model saw nothing."""
        rows, columns = self.sampling.nearest(self.values.shape)
        seen = self.values[:, columns][rows]
        if seen.shape == (self.height, self.width):
            return seen
        whole = np.full((self.height, self.width), NO_CLASS, np.uint8)
        left, top = self.sampling.left, self.sampling.top
        whole[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
        return whole


def _extent(used: NDArray[np.intp], cells: NDArray[np.intp]) -> tuple[int, int]:
    """Return the first pixel whose cell is in `used`, and the one behind the last; both rise."""
    return int(np.searchsorted(cells, used[0], "left")), int(np.searchsorted(cells, used[-1], "right"))
