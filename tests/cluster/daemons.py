"""Servers of the control plane as child processes: a log file each, an end by pid, and no survivors.

A daemon runs in a session of its own, so that Ctrl-C reaches only pytest, which then ends it in order. Where pytest
itself is killed, the kernel ends the daemon (`setpriv --pdeathsig`, of util-linux).
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import httpx

HOST: Final = "127.0.0.1"
POLL_S: Final = 0.05
END_S: Final = 10.0
PORTS: Final = range(10_000, 30_000)
"""Those that the kernel gives to no connection by itself (Linux: from 32768 on), which would take one that was found
before its server does."""


class DaemonFailed(Exception):
    """A daemon ended, or did not become ready; the message holds the end of its log."""


class Daemon:
    """One server of the control plane."""

    def __init__(self, command: Sequence[object], log: Path, environ: Mapping[str, str] | None = None) -> None:
        """Start it; it writes to `log`, and is called what the file is called."""
        self.name = log.stem
        self.log = log
        guard = [guard, "--pdeathsig=KILL", "--"] if (guard := shutil.which("setpriv")) else []
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*guard, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def tail(self, lines: int = 40) -> str:
        """The last lines that it logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until `ready` says so; a connection that is refused is not ready yet.

        Raises:
            DaemonFailed: it ended before, or took longer.
        """
        deadline = time.monotonic() + timeout_s
        while not _answers(ready):
            if (code := self._process.poll()) is not None:
                raise DaemonFailed(f"{self.name} ended with exit code {code}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise DaemonFailed(f"{self.name} was not ready after {timeout_s:g} s:\n{self.tail()}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it, and wait for its end."""
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now: these servers cannot be told to choose their own."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            port = secrets.choice(PORTS)
            with suppress(OSError):  # it is taken
                stack.enter_context(socket.socket()).bind((HOST, port))
                found.append(port)
    return found


def _answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except httpx.TransportError:
        return False
