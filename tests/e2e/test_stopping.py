"""SIGTERM: readiness goes first, what was accepted is answered, and the process ends with 0.

A connection that is refused was not accepted. gRPC clients send again what a server that shuts down did not begin, as
every gRPC client with a retry policy does, and as the transformer's own does towards the predictor.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest

from serving.sdk import pb_grpc
from tests.servers import HOST, MODEL, RunningPair, running_pair, running_server

from .doors import picture_request

PATIENCE_S = 20.0
DRAIN_S = 0.6
CLIENTS = 4
RETRIES = (
    '{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.02s", "maxBackoff": '
    '"0.1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"]}}]}'
)
REFUSED = "refused"


@dataclass
class Load:
    """Clients that send one picture after another until they are refused, and what they met."""

    pair: RunningPair
    picture: bytes
    met: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    done: int = 0

    def note(self, outcome: str) -> None:
        self.met[outcome] += 1
        self.done += 1
        if self.done >= 4 * CLIENTS:
            self.answered.set()

    async def rest(self, *, keep_alive: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=None if keep_alive else 0)
        url = self.pair.transformer.url
        headers = {"content-type": "image/jpeg"}
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE_S, trust_env=False) as client:
            while not self.over.is_set():
                try:
                    answer = await client.post("/predict", content=self.picture, headers=headers)
                except httpx.ConnectError:
                    self.note(REFUSED)
                    return
                except httpx.TransportError as error:
                    self.note(f"lost: {error!r}")
                    return
                self.note(f"REST {answer.status_code}" + ("" if answer.is_success else answer.text))

    async def grpc(self) -> None:
        options = [("grpc.service_config", RETRIES)]
        async with grpc.aio.insecure_channel(self.pair.transformer.grpc, options=options) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            while not self.over.is_set():
                try:
                    await stub.ModelInfer(picture_request(self.picture), timeout=PATIENCE_S)
                except grpc.aio.AioRpcError as error:
                    details = error.details() or ""
                    if details.startswith("PREDICTOR_UNAVAILABLE"):
                        self.note(f"gRPC {details}")
                        continue
                    self.note(REFUSED if "refused" in details else f"lost: {error.code().name}: {details}")
                    return
                self.note("gRPC OK")


@asynccontextmanager
async def load(pair: RunningPair, picture: bytes) -> AsyncIterator[Load]:
    """Keep the pair busy until the block ends; it begins when every kind of client has been answered."""
    running = Load(pair, picture)
    clients = [running.rest(keep_alive=number % 2 == 0) for number in range(CLIENTS)]
    tasks = [asyncio.create_task(client) for client in [*clients, *(running.grpc() for _ in range(CLIENTS))]]
    async with asyncio.timeout(PATIENCE_S):
        await running.answered.wait()
    yield running
    _, pending = await asyncio.wait(tasks, timeout=PATIENCE_S)
    running.over.set()
    for task in pending:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not pending, "clients were neither answered nor refused"


async def readiness(url: str, probes: Counter[int], bodies: set[str]) -> None:
    """Probe readiness until the door is closed."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        while True:
            try:
                ready = await client.get("/v2/health/ready")
                live = await client.get("/v2/health/live")
            except httpx.TransportError:
                return
            assert live.status_code == httpx.codes.OK
            probes[ready.status_code] += 1
            bodies.add(ready.json().get("error", ""))


PROTOCOLS = pytest.mark.parametrize("protocol", [None, "v2", "grpc-v2"], ids=["unix", "v2", "grpc-v2"])
"""How the transformer asks its predictor."""


@PROTOCOLS
async def test_sigterm_under_load_loses_no_accepted_request(model_dir: Path, cat: bytes, protocol: str | None) -> None:
    flags = [f"--drain_delay_seconds={DRAIN_S}"]
    probes: Counter[int] = Counter()
    bodies: set[str] = set()
    with running_pair(model_dir, flags, flags, protocol) as pair:
        async with load(pair, cat) as running:
            probing = asyncio.create_task(readiness(pair.transformer.url, probes, bodies))
            before = running.done
            codes = [
                await asyncio.to_thread(pair.transformer.process.stop),
                await asyncio.to_thread(pair.predictor.process.stop),
            ]
        await asyncio.wait_for(probing, PATIENCE_S)

    assert codes == [0, 0]
    assert running.met.keys() == {"REST 200", "gRPC OK", REFUSED}, running.met
    assert running.met[REFUSED] == 2 * CLIENTS
    assert running.done - before > 2 * CLIENTS, "requests were answered during the drain"
    assert probes[503] > 0
    assert "MODEL_NOT_READY: the server is shutting down" in bodies
    for server in ("transformer", "predictor"):
        assert {event["code"] for event in pair.log.events(server, "request")} == {"OK"}
        assert [event["signal"] for event in pair.log.events(server, "draining")] == ["SIGTERM"]
        assert pair.log.events(server, "stopped")
    assert "Traceback" not in pair.log.text()


@PROTOCOLS
async def test_a_predictor_that_stops_under_load_is_met_with_retries_and_typed_errors(
    model_dir: Path, cat: bytes, protocol: str | None
) -> None:
    with running_pair(model_dir, protocol=protocol) as pair:
        async with load(pair, cat) as running:
            code = await asyncio.to_thread(pair.predictor.process.stop)
            running.over.set()

    assert code == 0
    errors = running.met.keys() - {"REST 200", "gRPC OK"}
    assert all("PREDICTOR_UNAVAILABLE" in error for error in errors), running.met
    assert {event["code"] for event in pair.log.events("predictor", "request")} == {"OK"}


@dataclass(frozen=True)
class Slow:
    """A server that does not come to an end of loading by itself."""

    name: str
    flags: Callable[[Path], list[str]]


@pytest.mark.parametrize(
    "slow",
    [
        Slow("transformer", lambda model_dir: [f"--model_dir={model_dir}", f"--predictor_host={HOST}:1"]),
        Slow("predictor", lambda model_dir: [f"--model_dir={model_dir}"]),
    ],
    ids=lambda slow: slow.name,
)
def test_sigterm_while_loading_ends_cleanly(model_dir: Path, slow: Slow) -> None:
    with running_server(slow.name, slow.flags(model_dir), ready=False) as server:
        code = server.process.stop()

    assert code == 0
    assert server.log.events(slow.name, "stopped")
    assert "Traceback" not in server.log.text()


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("door", ["http_port", "grpc_port"])
def test_a_port_that_is_taken_ends_with_exit_code_1_and_one_clear_line(taken_port: int, door: str) -> None:
    ports = {"http_port": 0, "grpc_port": 0, door: taken_port}
    flags = [f"--{name}={port}" for name, port in ports.items()]

    ended = subprocess.run(
        [sys.executable, "-m", "predictor", f"--host={HOST}", f"--model_name={MODEL}", *flags],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("predictor: ")]
    assert f"cannot listen on {HOST}" in line
    assert "Traceback" not in ended.stderr
    assert str(taken_port) in line
