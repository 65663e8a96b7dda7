"""What the load generator is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

MAX_SECONDS: Final = 600.0
"""The longest window: the latency of every request in it is kept."""
MAX_CLIENTS: Final = 4096
MAX_RATE: Final = 20_000.0
"""Requests a second that this generator can send at the most, on any machine."""


Route = Literal["predict", "infer", "other"]
"""Whose answers are checked: those of `POST /predict`, of V2's REST infer, or of none that is known."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(_Told):
    """Where requests go."""

    protocol: Literal["http", "grpc"]
    """`http`: the requests are whole HTTP/1.1 requests. `grpc`: they are messages of V2's ModelInfer."""
    host: str = "127.0.0.1"
    port: PositiveInt
    route: Route = "other"
    """What is asked there: an answer of 200 over HTTP that is not what this gives counts as an error."""
    tls: bool = False
    metadata: tuple[tuple[str, str], ...] = ()
    """Sent with each call over gRPC; an HTTP request holds its headers already."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Closed(_Told):
    """A closed loop: clients that each send their next request as soon as they have the answer to the last."""

    kind: Literal["closed"] = "closed"
    clients: Annotated[int, Field(ge=1, le=MAX_CLIENTS)]

    def __str__(self) -> str:
        return f"{self.clients} client{'s' if self.clients > 1 else ''}"


class Open(_Told):
    """An open loop: requests that come at a rate, whether or not those before them were answered."""

    kind: Literal["open"] = "open"
    rate: Annotated[float, Field(gt=0, le=MAX_RATE)]
    """Requests a second."""
    arrivals: Literal["poisson", "fixed"] = "poisson"
    """`poisson`: as independent users send. `fixed`: as a clock ticks."""
    seed: int = 0
    """Of Poisson's arrivals: the same seed sends at the same times."""
    max_outstanding: PositiveInt = 1000
    """Requests that may wait for an answer; further ones are sent as these are answered, and are late then."""

    def __str__(self) -> str:
        return f"{self.rate:.4g}/s"


class Health(_Told):
    """A route that is asked beside the load, to see whether the server's event loop still turns."""

    host: str = "127.0.0.1"
    port: PositiveInt
    path: str = "/v2/health/live"
    interval_s: PositiveFloat = 0.05


class Plan(_Told):
    """One measurement: a load, and the window of time in which it is watched."""

    server: Server
    requests: tuple[Path, ...] = Field(min_length=1)
    """Files of one request each, which are sent in turn."""
    load: Annotated[Closed | Open, Field(discriminator="kind")]
    ramp_seconds: NonNegativeFloat = 0.0
    """Time under load before the window opens."""
    seconds: Annotated[float, Field(gt=0, le=MAX_SECONDS)]
    """How long the window is open; that of a closed loop longer where fewer than `FEWEST` requests have ended."""
    count: PositiveInt | None = None
    """How many requests of a closed loop are enough; the window closes early when they are answered."""
    patience_s: PositiveFloat = 60.0
    """How long an answer is waited for."""
    refusals: Literal["stop", "count"] = "stop"
    """Whether an answer that is not OK ends the measurement."""
    honour_retry_after: bool = False
    """Whether a client of a closed loop waits as long as `Retry-After` says. An open loop's arrivals never do."""
    health: dict[str, Health] = Field(default_factory=dict)
    """What is asked beside the load, by name."""
    pids: dict[str, int] = Field(default_factory=dict)
    """Processes of this machine whose CPU time and memory are read, by name."""
