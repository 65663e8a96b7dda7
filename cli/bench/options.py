"""The command's options, from text to what is measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import typer

from load.plan import MAX_CLIENTS, MAX_RATE, Closed, Open

DEFAULT_CLIENTS: Final = "1,8,32"
DEFAULT_HTTP: Final = "http://127.0.0.1:8080"
DEFAULT_GRPC: Final = "127.0.0.1:8081"
_PID: Final = re.compile(r"(?:([\w.-]+)=)?([1-9][0-9]{0,9})")
_SHAPE: Final = re.compile(r"(?:(.+)=)?([1-9][0-9]{0,9}(?:,[1-9][0-9]{0,9})*)")
_HEADER: Final = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+): *([\x20-\x7e]+)")


class Protocol(StrEnum):
    """How a server is asked."""

    HTTP = "http"
    V2_REST = "v2-rest"
    V2_JSON = "v2-json"
    V2_GRPC = "v2-grpc"


class Arrivals(StrEnum):
    """How the requests of an open loop are apart."""

    POISSON = "poisson"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Serving:
    """The servers that are started for the benchmark."""

    model: str
    predictor_flags: Sequence[str] = ()
    transformer_flags: Sequence[str] = ()
    alone: bool = False
    """Whether the predictor is asked, and not the transformer."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    url: str
    serving: Serving | None
    protocol: Protocol
    model: str | None
    pictures: tuple[Path, ...]
    max_mb: float
    shapes: Mapping[str, tuple[int, ...]]
    headers: Mapping[str, str]
    loads: tuple[Closed | Open, ...]
    """In turn; none where a rate is searched."""
    find_p99: float | None
    arrivals: Arrivals
    seconds: float
    warmup_s: float
    timeout_s: float
    max_outstanding: int
    honour_retry_after: bool
    pids: Mapping[str, int]
    out: Path | None
    plot: Path | None


def parse_loads(
    clients: str | None, rate: str | None, find_p99: float | None, arrivals: Arrivals, max_outstanding: int
) -> tuple[Closed | Open, ...]:
    """Return the loads that are taken in turn; none where a rate is searched.

    Raises:
        typer.BadParameter: more than one way is given, or numbers that are none.
    """
    if sum(each is not None for each in (clients, rate, find_p99)) > 1:
        raise typer.BadParameter("give one of --clients, --rate and --find-p99")
    if find_p99 is not None:
        return ()
    if rate is not None:
        return tuple(
            Open(rate=each, arrivals=arrivals.value, max_outstanding=max_outstanding) for each in parse_rates(rate)
        )
    return tuple(Closed(clients=each) for each in parse_clients(clients or DEFAULT_CLIENTS))


def parse_clients(text: str) -> list[int]:
    """Return the numbers of `1,8,32`.

    Raises:
        typer.BadParameter: they are none, or too large.
    """
    numbers = _numbers(text, "--clients", MAX_CLIENTS)
    if any(number != int(number) or number < 1 for number in numbers):
        raise typer.BadParameter(f"--clients {text!r}: whole numbers such as 1,8,32 are expected")
    return [int(number) for number in numbers]


def parse_rates(text: str) -> list[float]:
    """Return the requests a second of `50,100`.

    Raises:
        typer.BadParameter: they are none, or too large.
    """
    return _numbers(text, "--rate", MAX_RATE)


def parse_pids(texts: Iterable[str]) -> dict[str, int]:
    """Return the processes of `name=123` or `123`, by name.

    Raises:
        typer.BadParameter: it is neither, or one name stands for two.
    """
    pids: dict[str, int] = {}
    for text in texts:
        found = _PID.fullmatch(text)
        name = (found[1] or f"pid {found[2]}") if found else ""
        if found is None or name in pids:
            raise typer.BadParameter(f"--pid {text!r}: NAME=NUMBER is expected, each name once")
        pids[name] = int(found[2])
    return pids


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of `name=1,3,224,224`, by the input's name; without one, under the name "".

    Raises:
        typer.BadParameter: it is none.
    """
    shapes = {}
    for text in texts:
        found = _SHAPE.fullmatch(text)
        if found is None:
            raise typer.BadParameter(f"--shape {text!r}: NAME=1,3,224,224, or the numbers alone, are expected")
        shapes[found[1] or ""] = tuple(map(int, found[2].split(",")))
    return shapes


def parse_headers(texts: Iterable[str]) -> dict[str, str]:
    """Return the headers of `Name: value`.

    Raises:
        typer.BadParameter: it is none.
    """
    headers = {}
    for text in texts:
        found = _HEADER.fullmatch(text)
        if found is None:
            raise typer.BadParameter(f"--header {text!r}: 'Name: value' is expected")
        headers[found[1].lower()] = found[2]
    return headers


def _numbers(text: str, option: str, largest: float) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text!r}: numbers such as 1,8,32 are expected") from error
    if not all(0 < number <= largest for number in numbers):
        raise typer.BadParameter(f"{option} {text!r}: numbers over 0 and up to {largest:g} are expected")
    return numbers
