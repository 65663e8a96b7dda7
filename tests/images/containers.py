"""Containers of our images, as strict as a cluster's restricted level: not root, nothing writable, no capability."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from cli.processes import Ports, parse_event
from tests.servers import HOST, RunningServer

USER = 65532
PYTHON = "/opt/kserve-vision/bin/python"
PATIENCE_S = 60.0
STRICT = (
    "--network=host",
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp:rw,noexec,nosuid,nodev,mode=1777",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    # Without systemd podman has no timer for it: a test runs the image's HEALTHCHECK itself.
    "--no-healthcheck",
    # podman raises these by itself, which not every machine allows.
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=1024:1024",
)


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    id: str
    ports: Ports

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.ports.http}"

    @property
    def grpc(self) -> str:
        return f"{HOST}:{self.ports.grpc}"

    def as_server(self) -> RunningServer:
        """For the clients of the other tests, which need no more than its addresses."""
        return cast("RunningServer", self)

    def logs(self) -> str:
        done = _podman("logs", self.id)
        return done.stdout + done.stderr

    def events(self, event: str) -> list[dict[str, Any]]:
        """The events of one kind that the server logged."""
        parsed = (parse_event(line) for line in self.logs().splitlines())
        return [values for values in parsed if values.get("event") == event]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the server."""
        return _podman("exec", self.id, *command, check=False)

    def python(self, program: str) -> Any:
        """Run a program by the server's Python, and read the JSON that it prints."""
        done = self.run(PYTHON, "-I", "-c", program)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ask(self, path: str) -> httpx.Response:
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            return client.get(path)

    def wait_for(self, path: str, status: int) -> httpx.Response:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self.ask(path)
            except httpx.TransportError:
                answer = httpx.Response(0)
            if answer.status_code == status:
                return answer
            assert self.is_running(), self.logs()
            assert time.monotonic() < until, f"{path} answers {answer.status_code} {answer.text}\n{self.logs()}"
            time.sleep(0.05)

    def wait_ready(self) -> None:
        self.wait_for("/v2/health/ready", 200)

    def is_running(self) -> bool:
        return _inspect(self.id)["State"]["Status"] in ("created", "running")

    def signal(self, name: str) -> None:
        _podman("kill", f"--signal={name}", self.id)

    def wait(self) -> int:
        """Wait for its end, and return the exit code."""
        return int(_podman("wait", self.id, timeout=PATIENCE_S).stdout)


@contextmanager
def running(
    name: str,
    ports: Ports,
    flags: Sequence[str],
    *,
    models: Path | None = None,
    shared: Path | None = None,
) -> Iterator[Container]:
    """Run a server in a container until the block ends, by flags after its entry point, as KServe does.

    `models` is mounted to be read; `shared` is a folder for a Unix socket.
    """
    volumes = [f"--volume={models}:/mnt/models:ro"] if models else []
    if shared:
        volumes.append(f"--volume={shared}:/run/kserve-vision")
    own = [f"--host={HOST}", f"--http_port={ports.http}", f"--grpc_port={ports.grpc}", "--drain_delay_seconds=0"]
    started = _podman("run", "--detach", *STRICT, *volumes, image_of(name), *own, *flags)
    container = Container(started.stdout.split()[-1], ports)
    try:
        yield container
    finally:
        _podman("rm", "--force", "--time=0", container.id)


def ended(name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a server that cannot start, to its end."""
    return _podman("run", "--rm", *STRICT, image_of(name), *flags, check=False)


def free_ports() -> Ports:
    """Two ports that were free a moment ago. The server cannot choose them: its HEALTHCHECK has to know."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind((HOST, 0))
        return Ports(first.getsockname()[1], second.getsockname()[1])


def image_of(name: str, tag: str = "test") -> str:
    return f"localhost/kserve-vision-{name}:{tag}"


def is_built(image: str) -> bool:
    return shutil.which("podman") is not None and _podman("image", "exists", image, check=False).returncode == 0


def image_inspect(image: str) -> dict[str, Any]:
    """What podman knows of an image."""
    return _inspect(image)


def _inspect(name: str) -> dict[str, Any]:
    (found,) = json.loads(_podman("inspect", name).stdout)
    return cast("dict[str, Any]", found)


def _podman(*arguments: str, check: bool = True, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    runtime = ["--runtime=runc"] if shutil.which("runc") else []
    done = subprocess.run(
        ["podman", *runtime, *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout or 2 * PATIENCE_S,
    )
    if check:
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
    return done
