"""The first runs of a model: each size is made ready before anybody asks for it, and measured.

Sizes grow as long as it helps. On a device where a batch of eight takes eight times as long as one row, the runs end
after a size or two that did not pay: larger ones would only take memory that no request ever uses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from predictor.batching.costs import Costs
from predictor.batching.run import run_rows
from predictor.batching.sizes import RunSize
from predictor.engines import Engine, Lane
from predictor.engines.device import Device
from serving.contract import InputRules
from serving.errors import DeviceOutOfMemory, InferenceFailed, ModelLoadFailed
from serving.log import get_logger
from serving.v2 import DATATYPES, Tensor, TensorSpec
from serving.v2.message import ANY
from serving.v2.tensor import Array

logger = get_logger(__name__)

RUNS: Final = 4
"""Runs of each size, the first of which allocates and chooses kernels."""
ENOUGH_S: Final = 0.5
"""Seconds after which two runs of a size are enough."""
SHORT_S: Final = 0.25
"""Seconds of a run up to which a size that pays is measured a second time."""
PATIENCE: Final = 2
"""Larger sizes that are tried though none of them paid."""
PATIENCE_ON_A_CPU: Final = 1
"""Where two rows take the time of two, four take that of four; and what the largest size took is the process' peak."""

_ALONE: Final = threading.Lock()
"""Held while a model is timed: of two at once on the same CPUs, each would seem to be what it is not."""


def warm_up(engine: Engine, lane: Lane, run_size: RunSize, rules: InputRules) -> Costs:
    """Run the sizes that may pay, in ascending order, and return what they cost.

    Raises:
        ModelLoadFailed: the model cannot run them.
    """
    with _ALONE:
        return _warm_up(engine, lane, run_size, rules)


def _warm_up(engine: Engine, lane: Lane, run_size: RunSize, rules: InputRules) -> Costs:
    outputs = [spec.name for spec in engine.outputs]
    patience = PATIENCE_ON_A_CPU if engine.device == Device.CPU else PATIENCE
    measured: dict[int, float] = {}

    def measure(size: int) -> None:
        tensors = _zeros_of(engine.inputs, size, rules)
        fastest = _fastest(lane, RunSize((size,), run_size.joinable), tensors, outputs)
        measured[size] = min(fastest, measured.get(size, fastest))

    for size in run_size.sizes:
        before = Costs(measured).best if measured else size
        try:
            measure(size)
            if size != before and Costs(measured).best == size and measured[size] < SHORT_S:
                # A server that starts is not alone on its machine: what seems to pay must do so a second time, in turn
                # with what it is held against.
                measure(before)
                measure(size)
        except DeviceOutOfMemory as error:
            if not measured:
                raise ModelLoadFailed(f"the device has no memory for {size} rows: {error.message}") from error
            logger.warning("no memory for larger batches", rows=size, error=error.message)
            break
        except InferenceFailed as error:
            smaller = max(measured, default=0)
            hint = f"; batching.max_batch_size: {smaller} keeps to what it can" if smaller else ""
            raise ModelLoadFailed(f"the model fails on {size} rows: {error.message}{hint}") from error
        best = Costs(measured).best
        if size > best:
            lane.trim(_zeros_of(engine.inputs, best, rules), outputs)
        if sum(other > best for other in measured) >= patience:
            break
    costs = Costs(measured)
    logger.info(
        "batch sizes",
        best=costs.best,
        ms={str(size): round(1000 * seconds, 2) for size, seconds in measured.items()},
    )
    return costs


def make_ready(engine: Engine, lanes: Sequence[Lane], sizes: Sequence[int], rules: InputRules) -> None:
    """Let the other lanes meet the sizes that are used.

    Raises:
        ModelLoadFailed: a lane cannot do what the first one could.
    """
    outputs = [spec.name for spec in engine.outputs]
    for lane in lanes[1:]:
        for size in sizes:
            try:
                lane.prepare(_zeros_of(engine.inputs, size, rules), outputs)
            except (InferenceFailed, DeviceOutOfMemory) as error:
                raise ModelLoadFailed(f"{len(lanes)} instances are too many: {error.message}") from error


def _zeros_of(inputs: Sequence[TensorSpec], rows: int, rules: InputRules) -> tuple[Tensor, ...]:
    return tuple(Tensor(spec.name, zeros(spec, rows, rules)) for spec in inputs)


def zeros(spec: TensorSpec, rows: int, rules: InputRules) -> Array:
    """Return an input of `rows` rows; a picture whose sides are free is as large as any that will come."""
    height, width = rules.largest_size
    picture = iter((height, width))
    is_picture = len(spec.shape) == 4 and 3 in spec.shape[1:]  # noqa: PLR2004  # rows, height, width, channels
    sizes = [next(picture) if size == ANY and is_picture else 1 if size == ANY else size for size in spec.shape[1:]]
    return np.zeros((rows, *sizes), dtype=DATATYPES[spec.datatype])


def _fastest(lane: Lane, run_size: RunSize, inputs: Sequence[Tensor], outputs: Sequence[str]) -> float:
    """Return the seconds of the fastest of some runs."""
    began = time.perf_counter()
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) < RUNS and time.perf_counter() - began < ENOUGH_S):  # noqa: PLR2004
        started = time.perf_counter()
        run_rows(lane, run_size, inputs, outputs)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
