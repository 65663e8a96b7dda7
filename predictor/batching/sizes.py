"""The numbers of rows that a run may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def holding(sizes: Sequence[int], rows: int) -> int:
    """Return the smallest of `sizes`, in ascending order, that holds `rows` rows; the largest where none does."""
    return next((size for size in sizes if size >= rows), sizes[-1])


@dataclass(frozen=True, slots=True)
class RunSize:
    """How many rows a run may have: one of `sizes`, in ascending order; a graph whose first axis is fixed has one.

    Outputs that are not `joinable` have no row axis (what a detector found in its one picture, say), so that a run has
    one row.
    """

    sizes: tuple[int, ...]
    joinable: bool = True

    @property
    def largest(self) -> int:
        """The most rows of a run."""
        return self.sizes[-1]

    def padded(self, rows: int) -> int:
        """Return the smallest size that holds `rows` rows; the largest where none does."""
        return holding(self.sizes, rows)

    def below(self, size: int) -> int | None:
        """Return the next smaller size."""
        return next((each for each in reversed(self.sizes) if each < size), None)
