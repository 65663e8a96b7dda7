"""What is measured beside a variant's windows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from load.sample import Percentiles


class FirstRequest(BaseModel):
    """A pair that was started for this, and its first requests after it said that it was ready."""

    model_config = ConfigDict(frozen=True)

    first_ms: float
    steady_ms: float
    """The median of those that followed."""


class Endurance(BaseModel):
    """A pair that was started for this, and asked by 8 clients until it had answered many pictures."""

    model_config = ConfigDict(frozen=True)

    requests: int
    half_peak_bytes: dict[str, int]
    """The most memory that each server had held when half of them were answered."""
    peak_bytes: dict[str, int]
    """The same when all of them were."""
    health: dict[str, Percentiles]
    """`GET /v2/health/live` of each server meanwhile, every 50 ms."""
