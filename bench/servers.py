"""The pair of servers that is measured, as `make serve` runs it, on free loopback ports."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.children import Child
from bench.load.plan import Plan
from bench.measured import FirstRequest
from bench.requests import Files
from cli.pair import PairOptions, ServerPair
from cli.processes import Ports

MODEL: Final = "efficientnet-lite0"
STEADY_REQUESTS: Final = 50
FIRST_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What the servers are started with: the model, and flags beside the defaults."""

    model_dir: Path
    predictor_flags: Sequence[str] = ()
    transformer_flags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """A pair that is ready."""

    host: str
    transformer: Ports
    predictor: Ports
    pids: dict[str, int]


@contextmanager
def running_pair(setup: Setup) -> Iterator[Running]:
    """Run both servers until the block ends.

    Raises:
        ServerFailed: one of them could not be started.
    """
    options = PairOptions(
        model_dir=setup.model_dir,
        model_name=MODEL,
        http_port=0,
        grpc_port=0,
        predictor_http_port=0,
        predictor_grpc_port=0,
        # The limit is the CPU's, so the servers may not use more.
        predictor_flags=["--device=cpu", *setup.predictor_flags],
        transformer_flags=setup.transformer_flags,
    )
    pair = ServerPair(options, lambda _server, _line: None)
    try:
        transformer, predictor = pair.wait_ready()
        pids = {"transformer": pair.transformer.pid, "predictor": pair.predictor.pid}
        yield Running(options.host, transformer, predictor, pids)
    finally:
        pair.stop()


@dataclass(frozen=True, slots=True)
class FreshPair:
    """Measures what the first request costs: a pair is started for it each time."""

    setup: Setup
    generator: Child
    requests: Files

    def first_request(self) -> FirstRequest:
        """Start a pair, time its first requests, and stop it.

        Raises:
            ServerFailed, ChildFailed: as their names say.
        """
        with running_pair(self.setup) as fresh:
            plan = Plan(
                protocol="http",
                host=fresh.host,
                port=fresh.transformer.http,
                requests=self.requests,
                clients=1,
                seconds=FIRST_LIMIT_S,
                count=1 + STEADY_REQUESTS,
            )
            first, *others = self.generator.ask(plan).latencies_ms
        return FirstRequest(first_ms=first, steady_ms=statistics.median(others))
