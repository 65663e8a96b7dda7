"""A control group for one node, in each hierarchy of version 1 or in the one of version 2, and its removal."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
PREFIX: Final = "kserve-vision-node-"
INHERITED: Final = ("cpuset.cpus", "cpuset.mems")
"""What a group of version 1 does not take from its parent, and cannot be used without."""
PATIENCE_S: Final = 10.0


def make_group(name: str) -> None:
    """Make a group of that name below the root of each hierarchy."""
    for parent in _hierarchies():
        group = parent / name
        group.mkdir(exist_ok=True)
        for each in INHERITED:
            if parent != ROOT and (parent / each).exists():
                (group / each).write_text((parent / each).read_text())


def groups() -> set[str]:
    """The names of all such groups that are there."""
    return {each.name for parent in _hierarchies() for each in parent.glob(f"{PREFIX}*")}


def remove_group(name: str) -> None:
    """Kill what is left in the group, and remove it with all groups below it."""
    deadline = time.monotonic() + PATIENCE_S
    while left := [group for parent in _hierarchies() if (group := parent / name).exists()]:
        for group in left:
            with contextlib.suppress(FileNotFoundError):  # containerd's shims remove groups too
                _clear(group)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{', '.join(map(str, left))} cannot be removed")
        time.sleep(0.05)


def _clear(group: Path) -> None:
    folders = sorted((each for each in group.rglob("*") if each.is_dir()), reverse=True)
    for each in [*folders, group]:
        for pid in (each / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):  # its processes are still ending
            each.rmdir()


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [each for each in sorted(ROOT.iterdir()) if each.is_dir() and not each.is_symlink()]
