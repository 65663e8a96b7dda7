"""Clients that ask without a pause while something happens to the servers, and count what was not answered."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import grpc
import httpx

from tests.e2e.doors import Answer, Client, Door, raw_body, v2_grpc

PAUSE_S: Final = 0.05
"""Between two requests of one client: the servers share the machine with those who ask them."""
LABEL: Final = "tiger cat"


class Addressed(Protocol):
    """Where REST and gRPC answer."""

    @property
    def url(self) -> str: ...

    @property
    def grpc(self) -> str: ...


@dataclass
class Tally:
    """What became of the requests so far."""

    answered: Counter[str] = field(default_factory=Counter)
    """By kind of client."""
    failures: list[str] = field(default_factory=list)
    """`0.1 s, kind: what came instead`, each."""
    slowest_s: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def note(self, kind: str, answer: Answer, seconds: float) -> None:
        self.slowest_s = max(self.slowest_s, seconds)
        if answer.is_ok and answer.label == LABEL:
            self.answered[kind] += 1
        else:
            self.fail(kind, f"{answer.status} {answer.code}: {answer.message}")

    def fail(self, kind: str, reason: str) -> None:
        self.failures.append(f"{time.monotonic() - self.started:.1f} s, {kind}: {reason}")

    def __str__(self) -> str:
        by_kind = ", ".join(f"{kind} {count}" for kind, count in sorted(self.answered.items()))
        return (
            f"{self.answered.total()} answered ({by_kind}) in {time.monotonic() - self.started:.0f} s, "
            f"{len(self.failures)} failed, the slowest took {self.slowest_s:.2f} s"
        )


@contextmanager
def asking(server: Addressed, picture: bytes) -> Iterator[Tally]:
    """Ask in four ways at once until the block ends: REST and gRPC, on one connection and on a new one each time."""
    tally, stopped = Tally(), threading.Event()
    kinds: list[tuple[str, Door, bool]] = [
        (f"{name} on {'one connection' if kept else 'new connections'}", door, kept)
        for (name, door), kept in itertools.product((("REST", raw_body), ("gRPC", v2_grpc)), (True, False))
    ]
    loops = [
        threading.Thread(target=_ask, args=(server, picture, kind, tally, stopped.is_set), name=kind[0])
        for kind in kinds
    ]
    for each in loops:
        each.start()
    try:
        yield tally
    finally:
        stopped.set()
        for each in loops:
            each.join()


def label_of(server: Addressed, picture: bytes) -> str:
    """What one request by REST is answered with."""
    with closing(Client(server)) as client:  # type: ignore[arg-type]  # it reads the two addresses and no more
        return raw_body(client, picture).label


def _ask(
    server: Addressed, picture: bytes, kind: tuple[str, Door, bool], tally: Tally, stopped: Callable[[], bool]
) -> None:
    name, door, kept = kind
    client = Client(server)  # type: ignore[arg-type]  # it reads the two addresses and no more
    while not stopped():
        if not kept:
            client.close()
            client = Client(server)  # type: ignore[arg-type]
        started = time.monotonic()
        try:
            tally.note(name, door(client, picture), time.monotonic() - started)
        except (httpx.TransportError, grpc.RpcError, ValueError) as error:
            tally.fail(name, f"{type(error).__name__}: {error}")
        time.sleep(PAUSE_S)
    client.close()
