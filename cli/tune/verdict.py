"""Who won, or that nobody did: candidates against what there is already, round by round.

A machine's speed drifts with what else it does, so that two figures of different minutes say little. In each round all
are measured one after the other, and only the quotients within a round count. A candidate is better where the mean of
their logarithms is over 0 by Student's t, and by more than `load.search.PRECISION`. By logarithms, since twice as much
and half as much are as far from the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Final

from pydantic import BaseModel, ConfigDict

from load.search import PRECISION

FEWEST_ROUNDS: Final = 3
"""Rounds without which nothing is said to be better."""
STUDENT: Final = {3: 4.303, 4: 3.182, 5: 2.776}
"""Student's t by the number of rounds, which chance exceeds once in forty times: with two finalists, once in twenty.
More rounds than these are held against the last."""


class Comparison(BaseModel):
    """A candidate against what there is."""

    model_config = ConfigDict(frozen=True)

    rounds: int
    gain: float | None
    """By which part it does more rows a second, in the (geometric) mean of the rounds: 0.1 is a tenth more. None where
    what there is does not keep the bound in every round."""
    noise: float
    """The part up to which chance alone explains a gain here."""
    is_better: bool


def compare(before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Compare the scores of what there is and of a candidate, in rows a second, a pair for each round."""
    pairs = list(zip(before, after, strict=True))
    enough = len(pairs) >= FEWEST_ROUNDS
    if not all(old > 0 for old, _ in pairs):  # where there is nothing to divide by, it is enough to keep the bound
        keeps = enough and all(new > 0 and new >= old for old, new in pairs)
        return Comparison(rounds=len(pairs), gain=None, noise=PRECISION, is_better=keeps)
    if not enough or not all(new > 0 for _, new in pairs):
        return Comparison(rounds=len(pairs), gain=_gain(pairs), noise=PRECISION, is_better=False)
    gain, noise = _gain(pairs), _noise(pairs)
    return Comparison(rounds=len(pairs), gain=gain, noise=noise, is_better=gain > noise)


def _gain(pairs: Sequence[tuple[float, float]]) -> float:
    if not pairs or not all(new > 0 for _, new in pairs):
        return -1.0 if pairs else 0.0
    return math.exp(fmean(math.log(new / old) for old, new in pairs)) - 1


def _noise(pairs: Sequence[tuple[float, float]]) -> float:
    error = stdev(math.log(new / old) for old, new in pairs) / math.sqrt(len(pairs))
    student = STUDENT[min(len(pairs), max(STUDENT))]
    return max(PRECISION, math.expm1(min(student * error, 50.0)))


def winner(comparisons: Sequence[Comparison]) -> int | None:
    """Return the place of the one that is better by the most; None where what there is should be kept."""
    better = [place for place, each in enumerate(comparisons) if each.is_better]
    return max(better, key=lambda place: _order(comparisons[place]), default=None)


def _order(comparison: Comparison) -> float:
    return math.inf if comparison.gain is None else comparison.gain
