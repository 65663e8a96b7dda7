"""How many CPUs this process may use: a container's share is not the machine's core count."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Final

CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")

BORROWED: Final = 4
"""CPUs that are counted without a limit, though fewer are asked for: those that a node's other pods leave."""


def cpu_limit(chosen: float = 0, requested: float = 0) -> int:
    """Return the CPUs to make use of: the fewest of the scheduler's mask, the cgroup's quota (v2 or v1) and `chosen`.

    Where there is neither of the last two, `requested` stands for them, and for `BORROWED` at least. 0 says nothing.
    What is returned is a whole number, rounded up, and at least 1.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    bounds = [each for each in (_cgroup_quota(), chosen) if each]
    if requested and not bounds:
        bounds = [max(requested, BORROWED)]
    return max(1, min([allowed, *map(math.ceil, bounds)]))


def read_cpus(value: object) -> object:
    """Take Kubernetes' thousandths of a CPU, `1500m`; leave anything else as it is."""
    thousandths = re.fullmatch(r"(\d+)m", value) if isinstance(value, str) else None
    return int(thousandths[1]) / 1000 if thousandths else value


def _cgroup_quota() -> float | None:
    try:
        if CGROUP_V2.exists():
            quota, period = CGROUP_V2.read_text().split()
        else:
            quota, period = CGROUP_V1_QUOTA.read_text(), CGROUP_V1_PERIOD.read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no cgroup, or "max": no quota
        return None
