"""What the load generator is told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt


class Plan(BaseModel):
    """One measurement: a closed loop of clients, each with one connection, that send their next request at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Literal["http", "grpc"]
    """`http`: the requests are whole HTTP/1.1 requests. `grpc`: they are messages of V2's ModelInfer."""
    host: str = "127.0.0.1"
    port: PositiveInt
    requests: tuple[Path, ...] = Field(min_length=1)
    """Files of one request each; the clients take them in turn."""
    clients: PositiveInt
    ramp_seconds: NonNegativeFloat = 0.0
    """Time under load before the window opens."""
    seconds: PositiveFloat
    """How long the window is open; longer where fewer than `loop.FEWEST` requests have ended by then."""
    count: PositiveInt | None = None
    """How many requests are enough; the window closes early when they are answered."""
    pids: dict[str, int] = Field(default_factory=dict)
    """Processes whose CPU time is read at both ends of the window, by name."""
