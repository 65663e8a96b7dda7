"""Run the tests of a whole node in namespaces of their own: `python -m tests.node [pytest's arguments]`.

Processes, mounts and network interfaces that the tests leave end with the namespaces, however the tests end. What
outlives namespaces is taken away here: control groups, and the folder of what the node wrote.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.node.control_groups import PREFIX, groups, make_group, remove_group
from tests.node.isolation import FOLDER_VARIABLE, GROUP_VARIABLE

HERE = Path(__file__).parent
PROGRAMS = ("unshare", "setpriv", "mount", "ip", "nft", "runc", "podman", "go")
NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")


def main(arguments: list[str]) -> int:
    """Run pytest as the first process of its own process namespace, and take away what it leaves."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        sys.exit(f"a whole node needs {', '.join(missing)}")
    if os.geteuid() != 0:
        sys.exit("a whole node needs root: it mounts, and makes network interfaces and control groups")
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder, _control_group() as group:
        environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environ |= {FOLDER_VARIABLE: folder, GROUP_VARIABLE: group}
        tests = [sys.executable, "-m", "pytest", str(HERE), "-p", "no:cacheprovider", *arguments]
        guard = ["setpriv", "--pdeathsig=KILL", "--", "unshare", *NAMESPACES, "--propagation=private", "--"]
        return _wait_for(subprocess.Popen([*guard, *tests], env=environ))


def _sweep() -> None:
    """Take away what a run left that was killed itself."""
    folders = {each.name: each for each in Path(tempfile.gettempdir()).glob(f"{PREFIX}*")}
    for name in {*folders, *groups()}:
        if not Path("/proc", name.removeprefix(PREFIX).split("-")[0]).exists():
            remove_group(name)
            shutil.rmtree(folders.get(name, ""), ignore_errors=True)


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end. Ctrl-C reaches pytest by itself, which then ends in order; SIGTERM ends all at once."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        process.kill()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    return process.wait()


@contextmanager
def _control_group() -> Iterator[str]:
    """A control group for the node's pods, removed afterwards."""
    group = f"{PREFIX}{os.getpid()}"
    try:
        make_group(group)
        yield group
    finally:
        remove_group(group)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
