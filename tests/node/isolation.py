"""The namespaces that `python -m tests.node` made, turned into a machine: an address, mounts and kernel settings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

FOLDER_VARIABLE: Final = "KSERVE_VISION_NODE_FOLDER"
GROUP_VARIABLE: Final = "KSERVE_VISION_NODE_GROUP"
ADDRESS: Final = "10.99.0.1"
SERVICE_RANGE: Final = "10.96.0.0/16"
POD_RANGE: Final = "10.244.0.0/24"
UNANSWERED: Final = "10.98.0.1"
"""What goes there is dropped, as by a firewall."""
WANTED_BY_KUBELET: Final = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}


def is_isolated() -> bool:
    """Whether this process may change what belongs to a machine: it is the first of its namespace."""
    return FOLDER_VARIABLE in os.environ and os.getpid() == 1


def node_folder() -> Path:
    """What the node writes lies here, on a disk; it is removed after the run."""
    return Path(os.environ[FOLDER_VARIABLE])


def control_group() -> str:
    """The control group below which all pods run."""
    return os.environ[GROUP_VARIABLE]


def furnish() -> None:
    """Give the namespaces what a node needs: an address of its own, a way to Services, and folders to write to."""
    if not is_isolated():
        pytest.fail("these tests change a machine: run them by `make test-node`")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "node0", "type", "veth", "peer", "name", "wire0")
    _run("ip", "address", "add", f"{ADDRESS}/24", "dev", "node0")
    _run("ip", "link", "set", "node0", "up")
    _run("ip", "link", "set", "wire0", "up")
    # What goes to a Service has to have a route before its address is replaced. There is none to anywhere else.
    _run("ip", "route", "add", SERVICE_RANGE, "dev", "node0")
    _run("ip", "route", "add", "blackhole", UNANSWERED)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    _run("mount", "--make-rshared", "/")
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    logs = node_folder() / "var-log"
    logs.mkdir()
    _run("mount", "--bind", str(logs), "/var/log")
    _pretend_settings()


def _pretend_settings() -> None:
    """Show kubelet the kernel settings that it insists on, in this namespace alone: the machine keeps its own."""
    for name, value in WANTED_BY_KUBELET.items():
        shown = node_folder() / name.replace("/", "-")
        shown.write_text(f"{value}\n")
        _run("mount", "--bind", str(shown), f"/proc/sys/{name}")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr}")
