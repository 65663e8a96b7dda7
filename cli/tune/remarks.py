"""What a reader must know beside the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cli.bench.session import GENERATOR
from cli.tune.candidates import name_of_runtime
from cli.tune.score import Bound, Level
from cli.tune.trial import Trial
from load.sample import MS
from serving.contract import Runtime

FEW: Final = 100
"""Below so many answers, a 99th percentile is the slowest of them."""
BUSY: Final = 0.8
"""The share of a CPU from which the load generator, which has one, is what limits."""


def remarks(trials: Sequence[Trial], bound: Bound, said: Runtime, best: Trial | None) -> Iterator[str]:
    """Yield what limits the figures of these candidates, of which `best` has won."""
    levels = [level for trial in trials for curve in trial.curves for level in curve]
    if any(map(_is_generators, levels)):
        yield "The load generator was busy for most of the time: above that, figures are its own."
    fewest = min((level.sample.requests for level in levels), default=FEW)
    if bound.percentile == "p99" and fewest < FEW:
        yield f"Some windows had {fewest} answers, whose p99 is the slowest of them: longer ones (--seconds) say more."
    if best is not None and best.candidate.runtime != said:
        yield f"{name_of_runtime(best.candidate.runtime)} gives other digits: compare its answers on your own pictures."


def _is_generators(level: Level) -> bool:
    sample = level.sample
    return sample.cpu_ms.get(GENERATOR, 0.0) * sample.per_second / MS > BUSY
