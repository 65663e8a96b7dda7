"""How the time is spent: short windows to skip what is hopeless, and most of the budget on those that are left."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from cli.tune.verdict import FEWEST_ROUNDS

T = TypeVar("T")

KEPT: Final = 3
"""Of so many candidates, one is looked at longer."""
FINALISTS: Final = 2
"""The most candidates that are measured against what there is."""
HOPELESS: Final = 0.5
"""A candidate that does less than this part of what there is in short windows is not looked at again: on a machine with
other work these are wrong by a third."""
ROUNDS: Final = 5
"""The most rounds of the final."""
USUAL_ROUNDS: Final = 3
"""The rounds that time is kept for while candidates are tried."""
SHORT: Final = 3.0
"""By how much windows that only sort candidates are shorter."""
SHORTEST_S: Final = 0.5
RAMP_S: Final = 0.3
"""Seconds under each load before it is measured: every shape was run at warm-up."""
SHORTER: Final = 0.9
"""By how much windows are shortened at a time until the budget is enough for them."""
USUAL_CLIMB: Final = 4
USUAL_RUNGS: Final = 3
"""The windows of a candidate's trial and of its round in the final, as long as none was measured."""
ROUNDED_S: Final = 10


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a window is open, in seconds."""

    seconds: float

    @property
    def short_s(self) -> float:
        """A window that only sorts candidates."""
        return min(self.seconds, max(SHORTEST_S, self.seconds / SHORT))


def fitting(pace: Pace, cost_s: Callable[[Pace], float], left_s: float) -> Pace | None:
    """Return the longest windows, up to those of `pace`, with which what takes `cost_s` fits into the time left; None
    where it does not with the shortest.
    """
    seconds = pace.seconds
    while cost_s(Pace(seconds)) > left_s:
        if seconds <= SHORTEST_S:
            return None
        seconds = max(SHORTEST_S, SHORTER * seconds)
    return Pace(seconds)


def least_s(trial_s: float, final_s: float) -> float:
    """Return the seconds of one candidate's trial and of the shortest final, in which it and what there is take
    `final_s` each in a round.
    """
    return trial_s + FEWEST_ROUNDS * 2 * final_s


def best_of(ranked: Sequence[T]) -> Sequence[T]:
    """Return the best third of candidates, at least one; they come best first."""
    return ranked[: max(1, math.ceil(len(ranked) / KEPT))]


def finalists(ranked: Sequence[tuple[T, float]], before: float) -> list[T]:
    """Return those that are worth a second look, of candidates with their scores, best first; `before` is the score of
    what there is.
    """
    return [candidate for candidate, score in ranked[:FINALISTS] if score > 0 and score >= HOPELESS * before]


def rounds_within(left_s: float, round_s: float) -> int:
    """Return how many rounds of `round_s` fit into the time that is left."""
    return max(0, min(ROUNDS, int(left_s / round_s))) if round_s > 0 else ROUNDS


def buys(budget_s: float, left_s: float, pace: Pace, trial_s: float, final_s: float) -> str:
    """Say what a budget buys, where a candidate's trial takes `trial_s`, and `final_s` in a round of the final."""
    spare_s = left_s - reserve_s(budget_s, final_s)
    tried = max(1, int(spare_s / trial_s))
    rounds = max(FEWEST_ROUNDS, min(ROUNDS, int((left_s - tried * trial_s) / (2 * final_s))))
    return (
        f"{budget_s:g} s buy a look at up to {tried} other candidate{'s' if tried > 1 else ''}, and a final of "
        f"{rounds} rounds in windows of {pace.seconds:.2g} s against model.yaml as it is"
    )


def reserve_s(budget_s: float, final_s: float) -> float:
    """Return the seconds that are kept for the final, where one candidate takes `final_s` in a round: enough for all
    that it usually takes, but no more than half of the budget, unless the shortest takes more.
    """
    usual, least = USUAL_ROUNDS * (1 + FINALISTS) * final_s, FEWEST_ROUNDS * 2 * final_s
    return max(least, min(usual, budget_s / 2))


def rounded_up(seconds: float) -> int:
    """Return a budget of so many seconds or a few more, as one asks for it."""
    return ROUNDED_S * math.ceil(seconds / ROUNDED_S)
