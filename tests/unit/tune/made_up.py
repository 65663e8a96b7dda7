"""Measurements that nobody took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.tune.candidates import Candidate
from cli.tune.score import Bound, Curve, Level
from cli.tune.trial import Trial
from load.sample import Percentiles, Sample
from serving.contract import Batching, Runtime

P99_100 = Bound(percentile="p99", ms=100.0)


def sample(per_second: float, p50_ms: float, p99_ms: float | None = None, **other: Any) -> Sample:
    p99_ms = p50_ms if p99_ms is None else p99_ms
    latency = Percentiles(p50_ms=p50_ms, p90_ms=p99_ms, p95_ms=p99_ms, p99_ms=p99_ms, p999_ms=p99_ms, max_ms=p99_ms)
    values = {"requests": 100, "per_second": per_second, "latency": latency, "cpu_ms": {"predictor": 2.0}}
    return Sample.model_validate({**values, "peak_bytes": {"predictor": 10**8}, **other})


def curve(points: Mapping[int, tuple[float, float]]) -> Curve:
    """Rows a second and p99 by the number of clients."""
    return tuple(Level(clients=clients, sample=sample(rows, p99 / 2, p99)) for clients, (rows, p99) in points.items())


def flat(rows: float) -> Curve:
    """So many rows a second with each number of clients, well within the bound."""
    return curve({1: (rows, 10.0), 2: (rows, 20.0)})


def candidate(**batching: Any) -> Candidate:
    values = {"instances": 2, "threads": 1, "max_batch_size": 8, **batching}
    return Candidate(Batching.model_validate(values), Runtime(), "cpu")


def trial(short: float, *rounds: float, is_default: bool = False, **batching: Any) -> Trial:
    """A candidate with its rows a second in a short window, and in each round."""
    return Trial(
        candidate(**batching), is_default=is_default, short=flat(short), rounds=[flat(each) for each in rounds]
    )
