"""Lanes that take as long as they are told, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from predictor.batching import Batch, RunSize
from predictor.batching.run import Ran, run_batch
from predictor.engines import Lane
from serving.errors import DeviceOutOfMemory, InferenceFailed
from serving.v2 import Tensor
from tests.virtual_time import VirtualLoop

POISON = -1
"""A row with this value makes every run fail that it is in."""


class EchoLane(Lane):
    """Gives each row back, doubled; a poisoned one fails its run, and runs over `memory` rows do not fit."""

    def __init__(self, memory: int = 2**31) -> None:
        super().__init__()
        self._memory = memory
        self.runs: list[list[int]] = []

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        array = inputs[0].array
        if len(array) > self._memory:
            raise DeviceOutOfMemory(f"{len(array)} rows do not fit")
        values = array.reshape(len(array), -1)[:, 0]
        self.runs.append([int(value) for value in values])
        if POISON in values:
            raise InferenceFailed("a row is poisoned")
        return tuple(Tensor(name, array * 2) for name in outputs)


class VirtualRunner:
    """A lane that is busy for `seconds[size]` of virtual time."""

    def __init__(self, loop: VirtualLoop, run_size: RunSize, seconds: Mapping[int, float], memory: int = 2**31) -> None:
        self.lane = EchoLane(memory)
        self.started: list[tuple[float, Batch]] = []
        self.busy = False
        self._loop = loop
        self._run_size = run_size
        self._seconds = seconds

    def start(self, batch: Batch, done: Callable[[Ran | None, Exception | None], None]) -> None:
        assert not self.busy, "a lane got a batch while it ran another"
        self.busy = True
        self.started.append((self._loop.now, batch))
        ran = run_batch(self.lane, self._run_size, batch)
        seconds = self._seconds[batch.size]
        self._loop.call_later(seconds, self._end, done, replace(ran, seconds=seconds))

    def _end(self, done: Callable[[Ran | None, Exception | None], None], ran: Ran) -> None:
        self.busy = False
        done(ran, None)


def rows(*values: int) -> tuple[Tensor, ...]:
    """Return an input of one number a row."""
    return (Tensor("x", np.array(values, np.int64).reshape(-1, 1)),)
