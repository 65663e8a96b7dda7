"""CPU time of a process, its own or another, all of its threads together, those that ended included."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

_WHOLE_PROCESS: Final = 2
"""`CPUCLOCK_SCHED`, for a whole process: Linux' include/linux/posix-timers.h."""


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used, user and system, to the nanosecond.

    It is the clock of clock_getcpuclockid(3). /proc/PID/stat tells the same in ticks of 10 ms, which is too coarse for
    rounds of a second.

    Raises:
        OSError: there is no such process, or this is not Linux.
    """
    return time.clock_gettime((~pid << 3) | _WHOLE_PROCESS)


def cpu_of_each(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds of several processes by name."""
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def used_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU seconds that each process used between two readings."""
    return {name: after[name] - seconds for name, seconds in before.items()}
