"""The pair of servers that is measured, as `make serve` runs it, on free loopback ports."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.measured import FirstRequest
from bench.requests import Files
from cli.one_process import OneOptions, OneProcess
from cli.pair import PairOptions, ServerPair
from cli.processes import Ports, ServerFailed
from load.child import Child
from load.plan import Closed, Plan, Server

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


@contextmanager
def running_one_process(setup: Setup) -> Iterator[tuple[int, int]]:
    """Run both servers as one process until the block ends; give its port and its id.

    Raises:
        ServerFailed: it could not be started.
    """
    options = OneOptions(setup.model_dir, MODEL, http_port=0, grpc_port=0, flags=["--device=cpu"])
    one = OneProcess(options, lambda _server, _line: None)
    try:
        ports, _ = one.wait_ready()
        yield ports.http, one.server.pid
    finally:
        one.stop()


@contextmanager
def running_bare_grpc(model_dir: Path) -> Iterator[tuple[int, int]]:
    """Run `bench.bare_grpc` until the block ends; give its port and its process' id.

    Raises:
        ServerFailed: it could not be started.
    """
    command = [sys.executable, "-m", "bench.bare_grpc", str(model_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # a module of ours
        try:
            assert process.stdout is not None  # noqa: S101  # it is a pipe
            port = process.stdout.readline().strip()
            if not port.isdigit():
                raise ServerFailed(f"bench.bare_grpc ended with exit code {process.wait()}")
            yield int(port), process.pid
        finally:
            process.terminate()


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
                server=Server(protocol="http", host=fresh.host, port=fresh.transformer.http, route="predict"),
                requests=self.requests,
                load=Closed(clients=1),
                seconds=FIRST_LIMIT_S,
                count=1 + STEADY_REQUESTS,
            )
            first, *others = self.generator.ask(plan).latencies_ms
        return FirstRequest(first_ms=first, steady_ms=statistics.median(others))
