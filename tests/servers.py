"""Our real servers for the tests: processes, sockets, the demo model, and what they logged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zoo
from cli.pair import PairOptions, ServerPair
from cli.processes import Ports, ServerProcess, parse_event

MODEL = "efficientnet-lite0"
HOST = "127.0.0.1"


@dataclass
class Log:
    """The lines of one or more servers, as they come."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, server: str, line: str) -> None:
        self.lines.append((server, line))

    def events(self, server: str, event: str) -> list[dict[str, Any]]:
        """The events of one kind that a server logged."""
        parsed = (parse_event(line) for name, line in self.lines if name == server)
        return [values for values in parsed if values.get("event") == event]

    def wait_for(self, server: str, event: str, **values: Any) -> list[dict[str, Any]]:
        """The events of one kind that hold `values`, at least one: those of requests come a moment after the answer."""
        until = time.monotonic() + 10
        while not (found := [each for each in self.events(server, event) if values.items() <= each.items()]):
            assert time.monotonic() < until, f"{server} logged no {event!r} with {values}"
            time.sleep(0.02)
        return found

    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)


@dataclass(frozen=True)
class RunningServer:
    """A server that is ready."""

    process: ServerProcess
    ports: Ports
    log: Log

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.ports.http}"

    @property
    def grpc(self) -> str:
        return f"{HOST}:{self.ports.grpc}"


@dataclass(frozen=True)
class RunningPair:
    """A transformer in front of a predictor, both ready."""

    transformer: RunningServer
    predictor: RunningServer
    log: Log


def demo_model() -> Path:
    """The demo classifier's directory, from the cache after the first time."""
    return zoo.pull_cached(MODEL)


@contextmanager
def running_pair(
    model_dir: Path,
    predictor_flags: Sequence[str] = (),
    transformer_flags: Sequence[str] = (),
    protocol: str | None = None,
) -> Iterator[RunningPair]:
    """Run both servers on free ports until the block ends."""
    log = Log()
    options = PairOptions(
        model_dir=model_dir,
        model_name=MODEL,
        host=HOST,
        http_port=0,
        grpc_port=0,
        predictor_http_port=0,
        predictor_grpc_port=0,
        predictor_protocol=protocol,
        predictor_flags=predictor_flags,
        transformer_flags=transformer_flags,
    )
    pair = ServerPair(options, log)
    try:
        transformer, predictor = pair.wait_ready()
        yield RunningPair(
            RunningServer(pair.transformer, transformer, log), RunningServer(pair.predictor, predictor, log), log
        )
    finally:
        pair.stop()


@contextmanager
def running_server(name: str, flags: Sequence[str], *, ready: bool = True) -> Iterator[RunningServer]:
    """Run one server on free ports until the block ends; with `ready=False`, only its ports are waited for."""
    log = Log()
    ports = [] if any(flag.startswith("--http_port") for flag in flags) else ["--http_port=0", "--grpc_port=0"]
    common = [f"--model_name={MODEL}", f"--host={HOST}", "--drain_delay_seconds=0", *ports]
    process = ServerProcess(name, [*common, *flags], log)
    try:
        if ready:
            process.wait_ready(HOST)
        yield RunningServer(process, process.wait_ports(), log)
    finally:
        process.stop()
