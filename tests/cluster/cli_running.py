"""Our own command line as a user runs it: a process of its own, with a kubeconfig and nothing of this user's."""

from __future__ import annotations

import contextlib
import os
import pty
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import pytest
import yaml

from tests.cluster.cluster import Cluster
from tests.cluster.daemons import HOST
from tests.cluster.kinds import CONFIG_MAP

PROGRAM: Final = Path(sys.executable).with_name("kserve-vision")
MANIFESTS: Final = Path(__file__).parents[2] / "manifests"
LIMIT_S: Final = 60.0


def install_runtimes(cluster: Cluster) -> None:
    """Install our runtimes, as an administrator does for the mode."""
    config = cluster.get(CONFIG_MAP, "inferenceservice-config", "kserve")
    assert config is not None
    mode = "standard" if "Standard" in config["data"]["deploy"] else "knative"
    cluster.apply(cluster.command_line.render_kustomize(MANIFESTS / "runtimes" / mode))


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


def kserve_vision(kubeconfig: Path | None, *arguments: str | Path, **environ: str) -> Done:
    """Run a command to its end, with its output in pipes."""
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=_environ(kubeconfig, environ),
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Lines:
    """What a command writes into a pipe, read as it comes."""

    def __init__(self, pipe: IO[str]) -> None:
        """Read all of `pipe`, in a thread."""
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._seen: list[str] = []

        def read() -> None:
            for line in pipe:
                self._lines.put(line)
            self._lines.put("")

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()

    def wait(self, text: str) -> str:
        """The next line with `text` in it; fail the test where none comes."""
        while True:
            try:
                line = self._lines.get(timeout=LIMIT_S)
            except queue.Empty:
                pytest.fail(f"no line with {text!r} came, but:\n{''.join(self._seen)}")
            self._seen.append(line)
            if text in line:
                return line
            if not line:
                pytest.fail(f"it ended without a line with {text!r}:\n{''.join(self._seen)}")

    def rest(self) -> str:
        """All that was written, once it has ended."""
        while line := self._lines.get(timeout=LIMIT_S):
            self._seen.append(line)
        return "".join(self._seen)


@dataclass
class Running:
    """A command that runs."""

    process: subprocess.Popen[str]
    err: Lines
    out: Lines

    def wait_line(self, text: str) -> str:
        """The next line on its standard error with `text` in it; fail the test where none comes."""
        return self.err.wait(text)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Done:
        """Wait for its end."""
        code = self.process.wait(LIMIT_S)
        return Done(code, self.out.rest(), self.err.rest())


@contextmanager
def running(kubeconfig: Path, *arguments: str | Path) -> Iterator[Running]:
    """Start a command; it is ended with the block."""
    with subprocess.Popen(
        [PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environ(kubeconfig, {}),
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        found = Running(process, Lines(process.stderr), Lines(process.stdout))
        try:
            yield found
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for each in (found.err, found.out):
                each.reader.join(LIMIT_S)


def on_a_terminal(kubeconfig: Path, columns: int, *arguments: str) -> str:
    """Run a command on a terminal of so many columns, and return all that it wrote."""
    ours, its = pty.openpty()
    environ = _environ(kubeconfig, {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color"})
    with subprocess.Popen([PROGRAM, *arguments], stdin=its, stdout=its, stderr=its, env=environ) as process:
        os.close(its)
        parts: list[bytes] = []
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes any more
            while part := os.read(ours, 65536):
                parts.append(part)
        os.close(ours)
        process.wait(LIMIT_S)
    return b"".join(parts).decode().replace("\r\n", "\n")


@contextmanager
def meanwhile(do: object) -> Iterator[None]:
    """Call `do` again and again in a thread, until the block ends."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        while not stop.wait(0.2):
            try:
                do()  # type: ignore[operator]  # a callable
            except BaseException as error:  # noqa: BLE001  # it is raised where the test is
                failed.append(error)
                return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LIMIT_S)
    if failed:
        raise failed[0]


class Relay:
    """A way to the API server that can be cut, as by an upgrade of it."""

    def __init__(self, port: int) -> None:
        """Lead to a port of this machine."""
        self._target = port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and take none."""
        self.is_cut = True
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection((HOST, self._target))
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def relayed(cluster: Cluster, relay: Relay, path: Path) -> Path:
    """Write a kubeconfig that leads to the cluster by a relay."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://{HOST}:{relay.port}"
    path.write_text(yaml.safe_dump(config))
    return path


def kubeconfig_of(cluster: Cluster, path: Path, token: str, **context: str) -> Path:
    """Write a kubeconfig for whoever has `token`."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    config["contexts"][0]["context"] |= context
    path.write_text(yaml.safe_dump(config))
    return path


def somebody(cluster: Cluster, namespace: str, folder: Path, *rules: dict[str, list[str]]) -> Path:
    """A kubeconfig for a service account with these rules in its namespace, and no other rights."""
    parts = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "somebody"}}
    role = {"kind": "Role", **parts, "rules": list(rules)}
    subject = {"kind": "ServiceAccount", "name": "somebody", "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "somebody"}
    binding = {"kind": "RoleBinding", **parts, "subjects": [subject], "roleRef": reference}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "somebody"}}
    cluster.apply([account, role, binding], namespace)
    token = cluster.command_line.kubectl("create", "token", "somebody", "-n", namespace).strip()
    return kubeconfig_of(cluster, folder / "somebody", token, namespace=namespace)


def rule(group: str, resources: str, *verbs: str) -> dict[str, list[str]]:
    """A rule of RBAC: `resources` as `pods,events`."""
    return {"apiGroups": [group], "resources": resources.split(","), "verbs": list(verbs)}


def _environ(kubeconfig: Path | None, environ: dict[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
    known = {"KUBECONFIG": str(kubeconfig)} if kubeconfig is not None else {}
    return {**kept, "HOME": "/nonexistent", "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1", **known, **environ}
