"""How a device's cores are shared out: runs side by side, and the threads of each.

On a CPU, two runs with a thread each do more than one with two: threads of one run wait for each other after every
layer. But a lone request has only its own run's threads. So a few CPUs are given one to a run, and many in groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from predictor.engines.device import Device
from serving.contract import Batching

GROUPS: Final = ((4, 1), (8, 2), (32, 4))
"""Up to so many CPUs, so many threads a run."""
LARGEST_GROUP: Final = 8

LANES_OF_A_GPU: Final = 2
"""One runs while the other's rows are gathered, copied and given back."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What was asked for, and the CPUs that there are."""

    instances: int | None
    asked_threads: int | None
    cpus: int

    def lanes(self, device: str) -> int:
        """Return how many runs are made side by side on a device."""
        if self.instances is not None:
            return self.instances
        return max(1, self.cpus // self.threads(device)) if device == Device.CPU else LANES_OF_A_GPU

    def threads(self, device: str) -> int:
        """Return the CPU threads of one run on a device."""
        if self.asked_threads is not None:
            return self.asked_threads
        if device != Device.CPU:
            return 1
        if self.instances is not None:
            return max(1, self.cpus // self.instances)
        return next((threads for cpus, threads in GROUPS if self.cpus <= cpus), LARGEST_GROUP)


def sizes_of(batching: Batching) -> tuple[int, ...]:
    """Return the sizes of runs: those that were named, or 1, 2, 4, 8, ... and the largest."""
    largest = batching.max_batch_size
    if batching.sizes:
        return tuple(sorted({size for size in batching.sizes if size <= largest} | {largest}))
    return tuple(sorted({2**power for power in range(largest.bit_length()) if 2**power <= largest} | {largest}))
