"""What is read of the servers' processes at both ends of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from load.process import ProcessGone, cpu_seconds, peak_bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """The processes at one moment, by name."""

    at: float
    """Seconds, by the loop's own clock."""
    cpu_seconds: Mapping[str, float]
    peak_bytes: Mapping[str, int]


def read(pids: Mapping[str, int], at: float) -> Reading:
    """Read the CPU time and the memory of processes; `at` is the time now.

    Raises:
        ProcessGone: one of them cannot be read.
    """
    cpu, peaks = {}, {}
    for name, pid in pids.items():
        try:
            cpu[name], peaks[name] = cpu_seconds(pid), peak_bytes(pid)
        except OSError as error:
            raise ProcessGone(f"{name}: process {pid} cannot be read ({error}): has it ended?") from error
    return Reading(at, cpu, peaks)
