"""How long the stages of an answer took, as its sender says it.

Over HTTP that is the header `Server-Timing` (W3C), in milliseconds: the JSON of a binary answer then stays the same
from answer to answer. A gRPC message says it in parameters, `queue_us` and `compute_us`, in microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from serving.v2.message import Parameters

TIMING_HEADER: Final = "server-timing"
MAX_READ: Final = 512
"""The most characters of such a header that are read."""

_MICROSECONDS: Final = "_us"
_METRIC: Final = re.compile(r"(?:^|,\s*)([a-z_]{1,32});dur=([0-9]{1,9}(?:\.[0-9]{1,9})?)(?=,|$)")


def write_timings(seconds: Mapping[str, float]) -> str:
    """Return the header's value for the seconds of each stage."""
    return ", ".join(f"{stage};dur={1000 * each:.3f}" for stage, each in seconds.items())


def read_timings(header: str) -> dict[str, float]:
    """Return the seconds of each stage of a header that is written like ours; of another one, nothing."""
    return {stage: float(milliseconds) / 1000 for stage, milliseconds in _METRIC.findall(header[:MAX_READ])}


def to_parameters(seconds: Mapping[str, float]) -> dict[str, int]:
    """Return the parameters of a message for the seconds of each stage."""
    return {f"{stage}{_MICROSECONDS}": round(1e6 * each) for stage, each in seconds.items()}


def from_parameters(parameters: Parameters) -> dict[str, float]:
    """Return the seconds of each stage that a message's parameters tell."""
    return {
        name.removesuffix(_MICROSECONDS): value / 1e6
        for name, value in parameters.items()
        if name.endswith(_MICROSECONDS) and type(value) is int and value >= 0
    }
