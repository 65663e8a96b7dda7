"""One candidate, and what was measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from pydantic import BaseModel, ConfigDict

from cli.tune.candidates import Candidate, name_of, name_of_runtime
from cli.tune.score import Bound, Curve, best_level, score
from cli.tune.stand import PREDICTOR
from load.sample import Percentiles
from serving.contract import Runtime


class Figures(BaseModel):
    """What a candidate comes to: of all its rounds, the one with the median score."""

    model_config = ConfigDict(frozen=True)

    rows_per_second: float
    """The most that keep the bound, the median of the rounds; 0 where none do."""
    clients: int | None
    """With so many, and this latency, the most rows a second were measured that keep it."""
    latency: Percentiles | None
    alone_p50_ms: float
    """Of one client alone, the median of the rounds."""
    cpu_ms: float | None
    """The predictor's CPU milliseconds for a row."""
    peak_bytes: int
    """The most memory that a predictor held; a GPU's is not in it."""


@dataclass
class Trial:
    """A candidate, and its curves."""

    candidate: Candidate
    is_default: bool = False
    """Whether it is what `model.yaml` says now."""
    pays: tuple[int, ...] = (1,)
    """The sizes of batches that its predictor measured to be worth it."""
    load_s: float = 0.0
    short: Curve = ()
    """Of short windows, which only sort candidates."""
    rounds: list[Curve] = field(default_factory=list)
    """Of the final, one for each round."""
    reason: str = ""
    """Why it could not be measured, where it could not."""

    @property
    def curves(self) -> Sequence[Curve]:
        """What counts: the rounds, where there are any."""
        return self.rounds or ([self.short] if self.short else [])

    def name(self, said: Runtime) -> str:
        """Return it in few words; its engine, where it is another than the contract says."""
        other = "" if self.candidate.runtime == said else f", {name_of_runtime(self.candidate.runtime)}"
        return name_of(self.candidate, self.pays) + other

    def score(self, bound: Bound) -> float:
        """Return the rows a second that keep the bound: the median of what counts."""
        return median(score(curve, bound) for curve in self.curves) if self.curves else 0.0

    def scores(self, bound: Bound) -> list[float]:
        """Return the rows a second of each round."""
        return [score(curve, bound) for curve in self.rounds]

    def figures(self, bound: Bound) -> Figures | None:
        """Return what it comes to; None where nothing was measured."""
        if not self.curves:
            return None
        ordered = sorted(self.curves, key=lambda curve: score(curve, bound))
        level = best_level(ordered[len(ordered) // 2], bound)
        shown = level or ordered[0][0]
        return Figures(
            rows_per_second=self.score(bound),
            clients=level.clients if level else None,
            latency=shown.sample.latency,
            alone_p50_ms=median(curve[0].sample.answered.p50_ms for curve in self.curves),
            cpu_ms=shown.sample.cpu_ms.get(PREDICTOR),
            peak_bytes=max(level.sample.peak_bytes.get(PREDICTOR, 0) for curve in self.curves for level in curve),
        )
