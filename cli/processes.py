"""Servers as child processes: their ports, their log, their readiness and their end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

POLL_S: Final = 0.05
LOG_TAIL: Final = 40
ASK_TIMEOUT_S: Final = 30.0


class ServerFailed(RuntimeError):
    """A server ended, or said that it cannot become ready; the message holds its own words."""


class Stopped(Exception):
    """Waiting was given up, because everything is to stop."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports that a server listens on."""

    http: int
    grpc: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A model of a transformer, and why it cannot be asked; `reason` is empty when it can."""

    name: str
    reason: str
    is_default: bool


def ask_models(host: str, ports: Ports) -> list[Asked]:
    """Ask a transformer that is ready for its models; the one that is asked by default comes first."""
    models = httpx.get(f"http://{host}:{ports.http}/models", timeout=ASK_TIMEOUT_S, trust_env=False).json()["models"]
    asked = [
        Asked(model["name"], version["reason"], model["default"])
        for model in models
        for version in model["versions"]
        if version["default"]
    ]
    return sorted(asked, key=lambda each: not each.is_default)


def common_flags(model_dir: Path, model_name: str, host: str) -> list[str]:
    """Return the flags of every server that is started for somebody at this machine."""
    return [
        f"--model_dir={model_dir}",
        f"--model_name={model_name}",
        f"--host={host}",
        "--drain_delay_seconds=0",
        "--log_format=json",
    ]


class ServerProcess:
    """One server, `python -m NAME`, in a session of its own, so that Ctrl-C reaches only the parent."""

    def __init__(
        self,
        name: str,
        flags: Sequence[str],
        on_line: Callable[[str, str], None],
        stopping: threading.Event | None = None,
    ) -> None:
        """Start `name` (`predictor`, `transformer` or `edge`); `on_line` gets its name and each line that it logs.

        Waiting for it ends when `stopping` is set.
        """
        self.name = name
        self._stopping = stopping
        self._on_line = on_line
        self._tail: list[str] = []
        self._listening = threading.Event()
        self._ports: Ports | None = None
        self._process = subprocess.Popen(  # noqa: S603  # our own module, with flags of ours
            [sys.executable, "-m", name, *flags],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"{name}-log", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def wait_ports(self, timeout_s: float = 60.0) -> Ports:
        """Wait until the ports are open.

        Raises:
            ServerFailed: it ended before, or took longer.
            Stopped: `stopping` was set.
        """
        deadline = time.monotonic() + timeout_s
        while not self._listening.wait(POLL_S):
            self._check_going_on()
            if time.monotonic() > deadline:
                raise ServerFailed(f"the {self.name} did not open its ports in {timeout_s:g} s")
        assert self._ports is not None  # noqa: S101  # set before the event
        return self._ports

    def wait_ready(self, host: str = "127.0.0.1", timeout_s: float = 120.0) -> None:
        """Wait until it is known of every model what becomes of it, and one can be asked.

        Raises:
            ServerFailed: it ended, says that no model can be loaded, or took longer.
            Stopped: `stopping` was set.
        """
        url = f"http://{host}:{self.wait_ports(timeout_s).http}/v2/health/ready"
        deadline = time.monotonic() + timeout_s
        reason = "no answer"
        while time.monotonic() < deadline:
            self._check_going_on()
            try:
                answer = httpx.get(url, timeout=5, trust_env=False)
            except httpx.TransportError as error:
                reason = repr(error)
            else:
                if answer.is_success:
                    return
                reason = answer.json().get("error", answer.text)
                if reason.startswith(("MODEL_LOAD_FAILED", "CONTRACT_INVALID")):
                    raise ServerFailed(f"the {self.name} cannot serve: {reason}")
            time.sleep(POLL_S)
        raise ServerFailed(f"the {self.name} was not ready after {timeout_s:g} s: {reason}")

    def stop(self, timeout_s: float = 40.0) -> int:
        """Ask it to drain and end, and return its exit code; after `timeout_s` it is killed."""
        if self.exit_code is None:
            self._process.terminate()
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(timeout=5)
        if self._process.stderr is not None:
            self._process.stderr.close()
        return code

    def _check_going_on(self) -> None:
        if self._stopping is not None and self._stopping.is_set():
            raise Stopped
        if self.exit_code is not None:
            self._reader.join(timeout=1)
            said = "".join(self._tail).strip()
            raise ServerFailed(f"the {self.name} ended with exit code {self.exit_code}:\n{said}")

    def _read(self) -> None:
        assert self._process.stderr is not None  # noqa: S101  # it is a pipe
        for line in self._process.stderr:
            self._tail = [*self._tail[-LOG_TAIL:], line]
            event = parse_event(line)
            if event.get("event") == "listening":
                self._ports = Ports(event["http_port"], event["grpc_port"] or 0)
                self._listening.set()
            self._on_line(self.name, line.rstrip("\n"))


def parse_event(line: str) -> dict[str, Any]:
    """Return a log line's values; a line that is no JSON object (a traceback, a library's print) has none."""
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}
