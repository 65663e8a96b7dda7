"""What one measurement brings, whichever process took it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Sending(BaseModel):
    """How the generator kept to the times of an open loop."""

    model_config = ConfigDict(frozen=True)

    due: int
    """Requests that were due in the window."""
    late_ms: tuple[float, ...] = ()
    """By how much, of each that was sent later than it was due, and than a timer's tick forgives."""
    crowded: int = 0
    """How many waited to be sent because as many as may were waiting for an answer."""
    unsent: int = 0
    """How many were never sent, because the window closed while they waited."""


class Probed(BaseModel):
    """What a route that was asked beside the load answered."""

    model_config = ConfigDict(frozen=True)

    latencies_ms: tuple[float, ...]
    """One for each question, from when it was due."""
    refused: int = 0
    """How many of them were not answered with 200."""


class Measured(BaseModel):
    """What happened in one window of time: the raw result, as the measuring process reports it."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """The length of the window."""
    latencies_ms: tuple[float, ...]
    """One for each request (or call) that was answered with OK, in the order of their ends."""
    cpu_seconds: dict[str, float]
    """CPU seconds that each process used in the window, by its name."""
    refused_ms: tuple[float, ...] = ()
    """One for each request that was not, however it ended."""
    in_window: int | None = None
    """How many answers that were OK ended in the window; an open loop's may come later. None stands for all."""
    kinds: dict[str, int] = Field(default_factory=dict)
    """How many requests ended in each way: by status and code."""
    said: dict[str, str] = Field(default_factory=dict)
    """What the server said first in each way that is not OK."""
    retry_after: int = 0
    """How many answers had a `Retry-After`."""
    reconnected: int = 0
    """How many requests were sent again, because the server closed an idle connection as they came."""
    sending: Sending | None = None
    """Of an open loop only."""
    probed: dict[str, Probed] = Field(default_factory=dict)
    peak_bytes: dict[str, int] = Field(default_factory=dict)
    """The most memory that each process had held by the window's end, since it began."""
    interrupted: bool = False
    """Whether it was ended before its time."""
    sent_bytes: float = 0.0
    """Bytes of one request, on average: with its head over HTTP, without HTTP/2's frames over gRPC."""
    answer_bytes: float = 0.0
    """Bytes of one answer's body or message, on average."""


class Reply(BaseModel):
    """What a measuring process answers to a plan: a measurement, or why there is none."""

    model_config = ConfigDict(frozen=True)

    measured: Measured | None = None
    error: str = ""
