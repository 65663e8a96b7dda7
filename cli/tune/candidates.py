"""What may be tried: runs side by side and their threads first, then sizes of batches, then delays.

Each step stands on the best of the one before: all of them crossed would be hundreds of starts, for what a dozen tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from predictor.arrangement import Arrangement
from predictor.engines.device import Device
from serving.contract import Batching, Contract, EngineName, Runtime

LANES_OF_A_GPU: Final = (1, 2, 3)
"""With one, the device waits while rows are gathered; with three, a third of its memory more is held for little."""
FEWEST_CPUS: Final = 0.75
"""The share of the CPUs that runs and their threads must use together: an arrangement that leaves more idle loses."""
PART_OF_BEST: Final = 4
"""The smallest batch that is tried, but for one row, as a part of the largest that pays."""
DELAYS_MS: Final = ((0.0, True), (2.0, True), (10.0, True), (5.0, True), (2.0, False), (5.0, False), (10.0, False))
"""Delays, and whether they are adaptive; those that promise the most first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to serve the model, with nothing left open: `batching` says `instances` and `threads`.

    `device` is the one that the model runs on.
    """

    batching: Batching
    runtime: Runtime
    device: str

    @property
    def flags(self) -> list[str]:
        """The predictor's flags."""
        batching, runtime = self.batching, self.runtime
        return [
            f"--device={self.device}",
            f"--engine={runtime.engine.value}",
            f"--precision={runtime.precision.value}",
            f"--instances={batching.instances}",
            f"--num_threads={batching.threads}",
            f"--max_batch_size={batching.max_batch_size}",
            f"--batch_timeout_ms={batching.max_delay_ms:g}",
            f"--batch_adaptive={str(batching.adaptive).lower()}",
        ]

    def with_batching(self, **changes: Any) -> Candidate:
        """Return this candidate with other keys of `batching`."""
        return replace(self, batching=self.batching.model_copy(update=changes))

    def behaviour(self, pays: Sequence[int]) -> tuple[object, ...]:
        """Return what of it can be told apart, where batches of the sizes `pays` are worth it: a delay is nothing to
        one that joins no rows.
        """
        largest = largest_run(self.batching.max_batch_size, pays)
        delay = (self.batching.max_delay_ms, self.batching.adaptive) if largest > 1 else None
        return self.runtime, self.batching.instances, self.batching.threads, largest, delay


def largest_run(max_batch_size: int, pays: Sequence[int]) -> int:
    """Return the most rows of a run: of the sizes that pay, the largest that is allowed; the smallest where none is."""
    return max((size for size in pays if size <= max_batch_size), default=min(pays, default=1))


def as_it_is(contract: Contract, device: str, cpus: int) -> Candidate:
    """Return what a predictor makes of the contract on this device."""
    batching = contract.batching
    arrangement = Arrangement(batching.instances, batching.threads, cpus)
    said = batching.model_copy(update={"instances": arrangement.lanes(device), "threads": arrangement.threads(device)})
    return Candidate(said, contract.runtime, device)


def arrangements(device: str, cpus: int) -> tuple[tuple[int, int], ...]:
    """Return runs side by side, and the CPU threads of each, that use a device: the most runs first on a CPU."""
    if device != Device.CPU:
        return tuple((lanes, 1) for lanes in LANES_OF_A_GPU)
    groups = sorted({2**power for power in range(cpus.bit_length())} | {cpus})
    pairs = ((cpus // threads, threads) for threads in groups if threads <= cpus)
    return tuple((lanes, threads) for lanes, threads in pairs if lanes * threads >= FEWEST_CPUS * cpus)


def arranged(base: Candidate, runtimes: Sequence[Runtime], cpus: int, ceiling: int) -> Iterator[Candidate]:
    """Yield the arrangements of each engine, with batches of up to `ceiling` rows."""
    for runtime in runtimes:
        device = str(Device.CPU) if runtime.engine is EngineName.OPENVINO else base.device
        for lanes, threads in arrangements(device, cpus):
            changes = {"instances": lanes, "threads": threads, "max_batch_size": ceiling}
            yield replace(base.with_batching(**changes), runtime=runtime, device=device)


def sizes(best: Candidate, pays: Sequence[int]) -> Iterator[Candidate]:
    """Yield a candidate with smaller batches: one row, and sizes from a quarter of the largest that pays."""
    largest = largest_run(best.batching.max_batch_size, pays)
    for size in reversed(pays):
        if size < largest and (size == 1 or PART_OF_BEST * size >= largest):
            yield best.with_batching(max_batch_size=size)


def delays(best: Candidate, pays: Sequence[int]) -> Iterator[Candidate]:
    """Yield a candidate with other delays; none where it joins no rows."""
    if largest_run(best.batching.max_batch_size, pays) > 1:
        for delay_ms, adaptive in DELAYS_MS:
            if (delay_ms, adaptive) != (best.batching.max_delay_ms, best.batching.adaptive):
                yield best.with_batching(max_delay_ms=delay_ms, adaptive=adaptive)


def settled(candidate: Candidate, pays: Sequence[int], said: Batching) -> Candidate:
    """Return a candidate with the keys that a contract should have: what is `said` there, where a key makes no
    difference, and otherwise no larger a batch than is used.
    """
    largest = largest_run(candidate.batching.max_batch_size, pays)
    same = largest == largest_run(said.max_batch_size, pays)
    found = candidate.with_batching(max_batch_size=said.max_batch_size if same else largest)
    return found if largest > 1 else found.with_batching(max_delay_ms=said.max_delay_ms, adaptive=said.adaptive)


def name_of(candidate: Candidate, pays: Sequence[int]) -> str:
    """Return a candidate in few words: `2x1`, two runs of one thread each; `2x1, batch 16, 5 ms`."""
    batching, largest = candidate.batching, largest_run(candidate.batching.max_batch_size, pays)
    words = [f"{batching.instances}x{batching.threads}"]
    if largest > 1:
        words += [f"batch {largest}", f"{batching.max_delay_ms:g} ms{'' if batching.adaptive else ' fixed'}"]
    return ", ".join(words)


def name_of_runtime(runtime: Runtime) -> str:
    """Return an engine and its precision as a user names them: `openvino:bf16`."""
    return f"{runtime.engine.value}:{runtime.precision.value}"
