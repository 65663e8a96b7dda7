"""CPU time and memory of a process, its own or another: of all its threads together, those that ended included."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_WHOLE_PROCESS: Final = 2
"""`CPUCLOCK_SCHED`, for a whole process: Linux' include/linux/posix-timers.h."""
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class ProcessGone(RuntimeError):
    """A process that is watched is not there, or not on this machine."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used, user and system, to the nanosecond.

    It is the clock of clock_getcpuclockid(3). /proc/PID/stat tells the same in ticks of 10 ms, which is too coarse for
    rounds of a second.

    Raises:
        OSError: there is no such process, or this is not Linux.
    """
    return time.clock_gettime((~pid << 3) | _WHOLE_PROCESS)


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has held since it began (`VmHWM`), shared pages included.

    Raises:
        OSError: there is no such process, or this is not Linux.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = _PEAK.search(status)
    return 1024 * int(found[1]) if found else 0  # a process that has just ended has no memory


def used_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU seconds that each process used between two readings."""
    return {name: after[name] - seconds for name, seconds in before.items()}
