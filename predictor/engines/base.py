"""What every engine is: a loaded model, and lanes that run it side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from serving.v2 import Tensor, TensorSpec
from serving.v2.tensor import Array


class Buffers:
    """Memory that the rows of several requests are gathered into, kept from batch to batch: one block for each input,
    as large as the largest batch so far.
    """

    def __init__(self) -> None:
        self._blocks: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array of the input's shape, whose content is that of some batch before."""
        if dtype.hasobject:
            return np.empty(shape, dtype)
        needed = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        block = self._blocks.get(name)
        if block is None or block.nbytes < needed:
            block = self._blocks[name] = self.allocate(needed)
        return block[:needed].view(dtype).reshape(shape)

    def allocate(self, size: int) -> Array:
        """Return `size` bytes, uint8; an engine whose device wants memory of its own kind overrides this."""
        return np.empty(size, np.uint8)


class Lane(ABC):
    """One run at a time, on one thread at a time."""

    def __init__(self, buffers: Buffers | None = None) -> None:
        self.buffers = buffers or Buffers()

    @abstractmethod
    def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        """Run the model once, and return the named outputs, which are the caller's to keep.

        Raises:
            InferenceFailed: the run failed; the message is the engine's own.
            DeviceOutOfMemory: the device has no memory for a batch of this size.
            DeviceLost: the device will not run anything again in this process.
        """

    def prepare(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:  # noqa: B027  # most share all they have
        """Make ready for runs of this size what the lane does not share with the first one, which was warmed up."""

    def trim(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:  # noqa: B027  # most hold nothing
        """Give back memory that a run of this size does not need; raises as `run`, since it may take one."""


class Engine(ABC):
    """A loaded model. `inputs` and `outputs` are the graph's; `device` names what runs it; `platform` is the engine and
    the format, as V2's metadata name them.
    """

    platform: ClassVar[str]

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    device: str

    @abstractmethod
    def open_lane(self) -> Lane:
        """Return one more lane, which runs beside the others."""

    def settle(self) -> None:  # noqa: B027  # most learn nothing
        """All sizes were met: keep, for the next process, what was learnt. No more lanes are opened."""
