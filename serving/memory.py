"""How much memory this process may use: a container's limit is not the machine's memory."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_V2 = Path("/sys/fs/cgroup/memory.max")
CGROUP_V1 = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_limit() -> int:
    """Return the bytes of the machine's memory or of the cgroup's limit (v2 or v1), whichever is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _cgroup_limit()
    return machine if limit is None else min(machine, limit)


def _cgroup_limit() -> int | None:
    try:
        return int((CGROUP_V2 if CGROUP_V2.exists() else CGROUP_V1).read_text())
    except (OSError, ValueError):  # no cgroup, or "max": no limit
        return None
