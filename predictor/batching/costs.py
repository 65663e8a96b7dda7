"""What a run of each size costs, and so which sizes are worth it.

A device with thousands of cores runs eight rows in hardly more time than one; a CPU core runs them in eight times the
time, and whoever waits for the other seven has waited for nothing. Which of the two a model meets is measured when it
is warmed up, never assumed. Under load all sizes slow down together: runs move one common factor, and the proportions
stay those of the quiet machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PAYS: Final = 1.1
"""A larger batch must do a row in this much less time: below, it only makes rows wait for each other."""

DISPATCH_S: Final = 100e-6
"""Seconds that a run costs beside the model's own: to a thread, back to the event loop, to the caller."""

SMOOTHING: Final = 0.1
"""The share of a new measurement in the common factor."""

FORGETTING: Final = 1.01
"""By how much the fastest run is remembered as slower, with each that is."""

RECOVERY_S: Final = 60.0
"""Seconds after which a size is tried again that the device had no memory for."""


class Costs:
    """Seconds of a run by its size. `measured` holds at least one size; those that were not measured are not used."""

    def __init__(self, measured: Mapping[int, float]) -> None:
        self._measured = {size: seconds + DISPATCH_S for size, seconds in sorted(measured.items())}
        self._slowness = 1.0
        self._fastest = 1.0
        self._too_large: int | None = None
        self._shunned_until = 0.0
        self._worthwhile = self._find_worthwhile()

    def sizes(self, now: float) -> tuple[int, ...]:
        """Return the sizes that pay, in ascending order, without those that there was no memory for of late."""
        if self._too_large is None or now >= self._shunned_until:
            self._too_large = None
            return self._worthwhile
        smaller = tuple(size for size in self._worthwhile if size < self._too_large)
        return smaller or self._worthwhile[:1]

    @property
    def best(self) -> int:
        """The size that does the most rows in a second."""
        return self._worthwhile[-1]

    def of(self, size: int) -> float:
        """Return the seconds that a run of this size takes, as runs went of late."""
        return self._measured[size] * self._slowness

    def at_best(self, size: int) -> float:
        """Return the seconds that a run of this size took at its fastest, of late."""
        return self._measured[size] * self._fastest

    def note(self, size: int, seconds: float) -> None:
        """Learn from a run."""
        if size not in self._measured:
            return
        factor = (seconds + DISPATCH_S) / self._measured[size]
        self._slowness += SMOOTHING * (factor - self._slowness)
        # Upward only by steps: one lucky measurement must not be held against all that come after it.
        self._fastest = min(self._fastest * FORGETTING, factor)

    def shun(self, size: int, now: float) -> None:
        """Use neither this size nor larger ones for a while: the device had no memory for it."""
        self._too_large = size if self._too_large is None else min(self._too_large, size)
        self._shunned_until = now + RECOVERY_S

    def _find_worthwhile(self) -> tuple[int, ...]:
        best, best_cost = 0, float("inf")
        for size, seconds in self._measured.items():
            if not best or seconds / size * PAYS <= best_cost:
                best, best_cost = size, seconds / size
        return tuple(size for size in self._measured if size <= best)
