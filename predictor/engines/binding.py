"""Runs on a device with memory of its own: inputs and outputs stay where they are from run to run.

For each size that the warm-up meets there is a binding: memory on the device for the inputs and outputs, which ONNX
Runtime is told once. A run copies the rows there, runs, and copies the answers back into memory that is the caller's.
The first run of a size goes without, to see what the outputs are like. What cannot be bound goes without for ever:
strings, and outputs whose shape follows from what is found. So does what is first met once the model serves: a binding
holds its memory for as long as the model is there, and anybody can send odd sizes.

**CUDA graphs.** A run of a bound size always makes the same calls with the same addresses, so CUDA can record and
replay them, which spares a device the wait for a hundred small launches. ONNX Runtime does that by itself for runs with
a `gpu_graph_id`, on these terms: a session for one lane, which keeps its recordings by thread, so that all runs are
made on one; all nodes on the device; and memory that is never given back. Each binding has an id of its own. What the
first replay gives is held against the run without; if it is another, or fails, the lane goes on with a session that
records nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from predictor.engines.base import Lane
from predictor.engines.gate import Gate
from predictor.engines.memory import DeviceMemory
from predictor.engines.runtime import ort
from predictor.engines.session import Session
from predictor.engines.thread import OwnThread
from serving.errors import DeviceOutOfMemory, InferenceFailed
from serving.log import get_logger
from serving.v2 import Tensor
from serving.v2.tensor import Array

logger = get_logger(__name__)

TOLERANCE: Final = 0.01
"""By how much of the largest number a replay may differ, and which share of whole numbers."""

_NOT_RECORDED: Final = -1
"""The id of runs that are neither recorded nor replayed."""

_Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """The memory of one shape's runs. `outputs` are in the order in which they were asked for."""

    binding: ort.IOBinding
    inputs: dict[str, ort.OrtValue]
    outputs: dict[str, ort.OrtValue]
    options: ort.RunOptions | None


class BoundLane(Lane):
    """Runs a session with memory that is bound to it. `gate` is the process' own.

    Where runs are recorded, the session is this lane's alone, and `reopen` makes one like it that records nothing.
    """

    def __init__(
        self, session: Session, memory: DeviceMemory, gate: Gate, reopen: Callable[[], Session] | None = None
    ) -> None:
        super().__init__(memory.buffers())
        self._session = session
        self._memory = memory
        self._gate = gate
        self._reopen = reopen
        self._bindings: dict[_Key, Binding | None] = {}
        self._is_settled = False
        self._thread = OwnThread("cuda-graphs") if reopen is not None else None

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        """Run the model once."""
        if self._thread is None:
            return self._run(inputs, outputs)
        return self._thread.call(partial(self._run, inputs, outputs))

    def prepare(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
        """Meet a size before anybody asks for it."""
        self.run(inputs, outputs)

    def trim(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> None:
        """Give back the device's memory that is not needed, unless recordings refer to it."""
        if self._reopen is None:
            with self._gate.run():
                self._session.shrink(inputs, outputs)

    def settle(self) -> None:
        """Bind and record nothing more: should a recording fail, the graph of another session is not kept for it."""
        self._is_settled = True

    def _run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        key = (*((tensor.name, tensor.array.dtype.char, tensor.shape) for tensor in inputs), *outputs)
        binding = self._bindings.get(key)
        if binding is not None:
            return self._run_bound(key, binding, inputs, outputs)
        answer = self._run_plain(inputs, outputs)
        if key not in self._bindings and not self._is_settled:
            self._bindings[key] = self._bind(inputs, answer)
        return answer

    def _run_plain(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        with self._gate.run():
            return self._session.run(inputs, outputs, _recorded_as(_NOT_RECORDED) if self._reopen else None)

    def _run_bound(
        self, key: _Key, binding: Binding, inputs: Sequence[Tensor], outputs: Sequence[str]
    ) -> tuple[Tensor, ...]:
        try:
            return self._replay(binding, inputs, self._gate.run())
        except InferenceFailed as error:
            # The outputs' shapes are others than they were, say. If the rows are at fault, they are so without it.
            answer = self._run_plain(inputs, outputs)
            logger.warning("not bound any more", reason=error.message)
            self._bindings[key] = None
            return answer

    def _bind(self, inputs: Sequence[Tensor], answer: tuple[Tensor, ...]) -> Binding | None:
        """Return memory for runs like this one, if they can have any, and if they give the same with it."""
        names = [tensor.name for tensor in answer]
        if not self._session.has_fixed_shapes(names) or any(t.array.dtype.hasobject for t in (*inputs, *answer)):
            return None
        try:
            binding = self._allocate(inputs, answer)
            if self._gives_the_same(binding, inputs, answer):
                return binding
            reason = "a bound run gave other answers"
        except (InferenceFailed, DeviceOutOfMemory) as error:
            reason = error.message
        logger.warning("not bound", reason=reason, recorded=self._reopen is not None)
        if self._reopen is None:
            return None
        self._stop_recording(self._reopen)
        return self._bind(inputs, answer)

    def _gives_the_same(self, binding: Binding, inputs: Sequence[Tensor], answer: Sequence[Tensor]) -> bool:
        if self._reopen is not None:
            self._replay(binding, inputs, self._gate.record())
        again = self._replay(binding, inputs, self._gate.run())
        return all(_agree(one.array, other.array) for one, other in zip(again, answer, strict=True))

    def _allocate(self, inputs: Sequence[Tensor], answer: Sequence[Tensor]) -> Binding:
        with self._gate.run(), self._session.faults():
            bound = self._session.io_binding()
            ins = {t.name: self._memory.allocate(t.shape, t.array.dtype) for t in inputs}
            outs = {t.name: self._memory.allocate(t.shape, t.array.dtype) for t in answer}
            for name, value in ins.items():
                bound.bind_ortvalue_input(name, value)
            for name, value in outs.items():
                bound.bind_ortvalue_output(name, value)
        return Binding(bound, ins, outs, _recorded_as(len(self._bindings)) if self._reopen else None)

    def _replay(
        self, binding: Binding, inputs: Sequence[Tensor], turn: AbstractContextManager[None]
    ) -> tuple[Tensor, ...]:
        with turn, self._session.faults():
            for tensor in inputs:
                self._memory.copy_in(np.ascontiguousarray(tensor.array), binding.inputs[tensor.name])
            self._session.run_bound(binding.binding, binding.options)
            return tuple(Tensor(name, self._memory.copy_out(value)) for name, value in binding.outputs.items())

    def _stop_recording(self, reopen: Callable[[], Session]) -> None:
        """Go on with a session that records nothing: this one may be in the middle of a recording."""
        with self._gate.run():
            self._session = reopen()
        self._reopen = None
        self._bindings.clear()


def _recorded_as(number: int) -> ort.RunOptions:
    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options


def _agree(one: Array, other: Array) -> bool:
    """Whether two runs on the same rows gave the same, but for the order in which a device adds."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool(np.mean(one == other) >= 1 - TOLERANCE) if one.size else True
    scale = float(np.max(np.abs(other), initial=0, where=np.isfinite(other)))
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True))
