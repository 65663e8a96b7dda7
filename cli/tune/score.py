"""What a candidate is worth: the most rows a second whose latency keeps a bound.

Loads are closed loops of 1, 2, 4, 8, ... clients, and the bound falls between two of them. Between the last that keeps
it and the first that does not, throughput is read off the straight line over the latency's logarithm: a window that
just misses the bound then costs a little, where a step would cost the half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from load.sample import MS, Percentiles, Sample

KNEE: Final = 3.0
"""Where no bound is given: how many times a lone request's median latency may grow. Beyond, requests mostly wait for
each other, and a closed loop's throughput hardly grows."""
GROWTH: Final = 1.03
"""By how much more clients must raise the throughput to be worth it."""
PATIENCE: Final = 2
"""Steps in a row that did not raise it, and end the climb: one may be a hiccup."""
MOST_CLIENTS: Final = 512


class Bound(BaseModel):
    """A promise on latency."""

    model_config = ConfigDict(frozen=True)

    percentile: Literal["p50", "p99"]
    ms: float

    def __str__(self) -> str:
        return f"{self.percentile} <= {float(f'{self.ms:.3g}'):g} ms"

    def of(self, latency: Percentiles) -> float:
        """Return the percentile that is bounded, in ms."""
        return latency.p50_ms if self.percentile == "p50" else latency.p99_ms

    def keeps(self, sample: Sample) -> bool:
        """Whether a window keeps it, every answer being OK."""
        return sample.latency is not None and not sample.refused and self.of(sample.latency) <= self.ms


class Level(BaseModel):
    """So many clients, and what came of them."""

    model_config = ConfigDict(frozen=True)

    clients: int
    sample: Sample


Curve = tuple[Level, ...]
"""Levels in ascending order of clients."""


def knee(alone: Sample) -> Bound:
    """Return the bound that stands in for one that was not given, from a lone client's window.

    Raises:
        NothingMeasured: it has no answer.
    """
    return Bound(percentile="p50", ms=KNEE * alone.answered.p50_ms)


def score(curve: Sequence[Level], bound: Bound) -> float:
    """Return the most rows a second that keep the bound; 0 where not even a lone client's do."""
    kept = _kept(curve, bound)
    if not kept:
        return 0.0
    most = max(level.sample.per_second for level in kept)
    beyond = next((level for level in curve if level.clients > kept[-1].clients), None)
    return max(most, _at_bound(kept[-1].sample, beyond.sample, bound)) if beyond is not None else most


def best_level(curve: Sequence[Level], bound: Bound) -> Level | None:
    """Return the level with the most rows a second of those that keep the bound."""
    return max(_kept(curve, bound), key=lambda level: level.sample.per_second, default=None)


def next_clients(curve: Sequence[Level], bound: Bound) -> int | None:
    """Return how many clients are worth a window after those of `curve`; None where more bring nothing."""
    if not curve:
        return 1
    grew = [after.sample.per_second > GROWTH * _most(curve[: place + 1]) for place, after in enumerate(curve[1:])]
    flat = len(grew) >= PATIENCE and not any(grew[-PATIENCE:])
    more = 2 * curve[-1].clients
    return None if flat or not bound.keeps(curve[-1].sample) or more > MOST_CLIENTS else more


def ladder(curves: Sequence[Curve], bound: Bound, lanes: int) -> tuple[int, ...]:
    """Return the clients with which candidates are looked at again, the same for all: one alone, and those from below
    the best level of each to above it, and to twice the `lanes`, since a short window may have missed the best.
    """
    best = [level.clients if (level := best_level(curve, bound)) else 1 for curve in curves]
    low, high = min(best) // 2, min(max(2 * max(best), 2 * lanes), MOST_CLIENTS)
    doubled = (2**power for power in range(high.bit_length()))
    return tuple(clients for clients in doubled if clients == 1 or low <= clients <= high)


def next_of(rungs: Sequence[int], curve: Sequence[Level], bound: Bound) -> int | None:
    """Return the clients of the next window where those to be measured are given; None after the last, or beyond the
    bound.
    """
    if curve and not bound.keeps(curve[-1].sample):
        return None
    return rungs[len(curve)] if len(curve) < len(rungs) else None


def seconds_of(rungs: Sequence[int], curve: Sequence[Level], seconds: float, ramp_s: float) -> float:
    """Return how long windows of so many clients would take, each `seconds` long, or as long as a few requests of the
    median latency that `curve` has with them.
    """
    return sum(max(seconds, _longest(curve, clients)) + ramp_s for clients in rungs)


def _kept(curve: Sequence[Level], bound: Bound) -> list[Level]:
    """Return the levels up to the first that does not keep the bound."""
    kept = []
    for level in curve:
        if not bound.keeps(level.sample):
            break
        kept.append(level)
    return kept


def _at_bound(kept: Sample, beyond: Sample, bound: Bound) -> float:
    """Return the throughput at which the line between two windows crosses the bound."""
    if beyond.latency is None or beyond.refused:
        return kept.per_second
    low, high, level = (math.log(max(ms, 1e-6)) for ms in (bound.of(kept.answered), bound.of(beyond.latency), bound.ms))
    share = (level - low) / (high - low) if high > low else 0.0
    return kept.per_second + share * (beyond.per_second - kept.per_second)


def _most(curve: Sequence[Level]) -> float:
    return max(level.sample.per_second for level in curve)


def _longest(curve: Sequence[Level], clients: int) -> float:
    known = [level.sample.latency for level in curve if level.clients <= clients]
    return 2 * known[-1].p50_ms / MS if known and known[-1] is not None else 0.0
