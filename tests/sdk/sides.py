"""The servers of both sides, as a test sees them, and how they are started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx

from cli.processes import Ports, ServerFailed
from tests.sdk.scripted_predictor import ScriptedPredictor
from tests.sdk.trap import Side
from tests.servers import HOST, MODEL, Log, running_server

REPOSITORY: Final = Path(__file__).parents[2]
STARTING_LIMIT_S: Final = 60.0
POLL_S: Final = 0.05


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    url: str
    grpc: str
    pid: int
    log: Log
    draining: str
    """What it logs when it has begun to shut down."""

    def terminate(self) -> None:
        """Send SIGTERM, and wait until the server has said that it shuts down."""
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + STARTING_LIMIT_S
        while self.draining not in self.log.text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server never logged {self.draining!r}:\n{self.log.text()}")
            time.sleep(POLL_S)


@dataclass(frozen=True)
class Unready:
    """A model that is not ready, and the server it is on."""

    server: Server
    model: str


class Fleet:
    """Starts servers; those that tests leave as they found them are started once."""

    def __init__(self, scripted: ScriptedPredictor, model_directory: Path, broken_directory: Path) -> None:
        self._scripted = scripted
        self._model_directory = model_directory
        self._broken_directory = broken_directory
        self._shared: dict[str, Server] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        """Stop the shared servers."""
        self._stack.close()

    def shared_predictor(self, side: Side) -> Server:
        """Return the predictor of a side."""
        return self._share(f"{side} predictor", lambda: self.predictor(side))

    def shared_transformer(self, side: Side, protocol: str) -> Server:
        """Return the transformer of a side that speaks `protocol` to the scripted predictor."""
        return self._share(f"{side} transformer, {protocol}", lambda: self.transformer(side, protocol))

    def shared_broken_predictor(self) -> Server:
        """Return a predictor of ours whose ONNX file is missing."""
        return self._share("broken predictor", lambda: self.broken_predictor("ours"))

    def _share(self, name: str, start: Callable[[], AbstractContextManager[Server]]) -> Server:
        if name not in self._shared:
            self._shared[name] = self._stack.enter_context(start())
        return self._shared[name]

    @contextmanager
    def predictor(self, side: Side, *our_flags: str) -> Iterator[Server]:
        """Run a predictor of [n, 3, 64, 64] FP32 until the block ends."""
        if side == "ours":
            flags = [f"--model_dir={self._model_directory}", "--fuse_input=false", "--num_threads=1", *our_flags]
            starting = _our_server("predictor", flags)
        else:
            starting = _plain_server("plain_server", [f"--onnx={self._model_directory / 'model.onnx'}"])
        with starting as server:
            yield server

    @contextmanager
    def broken_predictor(self, side: Side) -> Iterator[Server]:
        """Run a predictor whose ONNX file is missing until the block ends."""
        if side == "ours":
            starting = _our_server("predictor", [f"--model_dir={self._broken_directory}"], ready=False)
        else:
            starting = _plain_server("plain_server", [f"--onnx={self._broken_directory / 'model.onnx'}"])
        with starting as server:
            yield server

    @contextmanager
    def transformer(self, side: Side, protocol: str, *flags: str) -> Iterator[Server]:
        """Run a transformer in front of the scripted predictor until the block ends."""
        given = [
            f"--predictor_host={self._scripted.address(protocol)}",
            f"--predictor_protocol={protocol}",
            *flags,
        ]
        if side == "ours":
            starting = _our_server("transformer", [f"--model_dir={self._model_directory}", *given])
        else:
            starting = _plain_server("plain_transformer", given)
        with starting as server:
            yield server


@contextmanager
def _our_server(name: str, flags: Sequence[str], *, ready: bool = True) -> Iterator[Server]:
    with running_server(name, flags, ready=ready) as running:
        yield Server(running.url, running.grpc, running.process.pid, running.log, '"event":"draining"')


@contextmanager
def _plain_server(module: str, flags: Sequence[str]) -> Iterator[Server]:
    ports = Ports(_free_port(), _free_port())
    log = Log()
    process = subprocess.Popen(  # a module of this folder
        [
            sys.executable,
            "-m",
            f"tests.sdk.{module}",
            f"--model_name={MODEL}",
            f"--http_port={ports.http}",
            f"--grpc_port={ports.grpc}",
            *flags,
        ],
        cwd=REPOSITORY,
        env=os.environ | {"no_proxy": HOST},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(module, process, log), daemon=True)
    reader.start()
    try:
        _wait_until_it_answers(process, ports, log)
        yield Server(
            f"http://{HOST}:{ports.http}", f"{HOST}:{ports.grpc}", process.pid, log, "Stopping the grpc server"
        )
    finally:
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, signal.SIGKILL)  # its workers too, should it have some
        process.wait()
        reader.join(timeout=5)
        process.stdout.close()


def _read(name: str, process: subprocess.Popen[str], log: Log) -> None:
    for line in process.stdout or ():
        log(name, line.rstrip("\n"))


def _wait_until_it_answers(process: subprocess.Popen[str], ports: Ports, log: Log) -> None:
    deadline = time.monotonic() + STARTING_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerFailed(f"the plain server ended with {process.returncode}:\n{log.text()}")
        if _answers(ports):
            return
        time.sleep(POLL_S)
    raise ServerFailed(f"the plain server did not answer:\n{log.text()}")


def _answers(ports: Ports) -> bool:
    try:
        with socket.create_connection((HOST, ports.grpc), timeout=1):
            pass
        return httpx.get(f"http://{HOST}:{ports.http}/", timeout=1, trust_env=False).status_code == HTTPStatus.OK
    except (OSError, httpx.TransportError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
