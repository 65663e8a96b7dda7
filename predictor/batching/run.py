"""One batch on one lane: gather the rows, run the model, part the answers. On the lane's thread.

What fails costs only those who are at fault. A batch that the model refuses is run again, each request alone; one that
the device has no memory for is run again as smaller ones, once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from predictor.batching.request import Answer, Batch, Part, joined
from predictor.engines import Lane
from serving.errors import DeviceOutOfMemory, InferenceFailed, ServingError, TensorInvalid
from serving.v2 import Tensor


@dataclass(frozen=True, slots=True)
class RunSize:
    """How many rows a run may have: one of `sizes`, in ascending order; a graph whose first axis is fixed has one.

    Outputs that are not `joinable` have no row axis (what a detector found in its one picture, say), so that a run has
    one row.
    """

    sizes: tuple[int, ...]
    joinable: bool = True

    @property
    def largest(self) -> int:
        """The most rows of a run."""
        return self.sizes[-1]

    def padded(self, rows: int) -> int:
        """Return the smallest size that holds `rows` rows; the largest where none does."""
        return next((size for size in self.sizes if size >= rows), self.largest)

    def below(self, size: int) -> int | None:
        """Return the next smaller size."""
        return next((each for each in reversed(self.sizes) if each < size), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some rows."""

    part: Part
    answer: Answer | None
    error: ServingError | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a batch. `seconds` is the time of its run; `failed` runs are repeated in pieces, whose time is not
    counted. It `fitted` if the device had memory for it.
    """

    outcomes: Sequence[Outcome]
    seconds: float
    failed: bool = False
    fitted: bool = True


def run_batch(lane: Lane, run_size: RunSize, batch: Batch) -> Ran:
    """Run a batch; each part has its outcome, or its pieces have."""
    began = time.monotonic()
    try:
        outcomes = _run(lane, run_size, batch)
        return Ran(outcomes, time.monotonic() - began)
    except DeviceOutOfMemory as error:
        seconds, fitted = time.monotonic() - began, False
        outcomes = _run_smaller(lane, run_size, batch, error)
    except (InferenceFailed, TensorInvalid) as error:
        seconds, fitted = time.monotonic() - began, True
        outcomes = [Outcome(batch.parts[0], None, error)] if len(batch.parts) == 1 else _each(lane, run_size, batch)
    except ServingError as error:
        seconds, fitted = time.monotonic() - began, True
        outcomes = [Outcome(part, None, _again(error)) for part in batch.parts]
    return Ran(outcomes, seconds, failed=True, fitted=fitted)


def run_rows(lane: Lane, run_size: RunSize, inputs: Sequence[Tensor], outputs: Sequence[str]) -> Answer:
    """Run the rows of `inputs` here and now, in as many runs as they need.

    Raises:
        InferenceFailed: a run failed, or gave another number of rows than it got.
        ServingError: as `Lane.run`.
    """
    rows = inputs[0].shape[0]
    answers = []
    for start in range(0, rows, run_size.largest):
        cut = inputs if rows <= run_size.largest else _rows_of(inputs, start, start + run_size.largest)
        answers.append(_run_once(lane, run_size, cut, outputs))
    return joined(answers)


def _run_once(lane: Lane, run_size: RunSize, inputs: Sequence[Tensor], outputs: Sequence[str]) -> Answer:
    rows = inputs[0].shape[0]
    size = run_size.padded(rows)
    answer = lane.run(inputs if size == rows else _gathered(lane, [inputs], size), outputs)
    if run_size.joinable:
        _check_rows(answer, size)
    return answer if size == rows else _rows_of(answer, 0, rows)


def _run(lane: Lane, run_size: RunSize, batch: Batch) -> list[Outcome]:
    first = batch.parts[0]
    wanted = first.request.outputs
    exact = len(batch.parts) == 1 and first.rows == batch.size
    given = first.inputs if exact else _gathered(lane, [part.inputs for part in batch.parts], batch.size)
    answer = lane.run(given, wanted)
    if not run_size.joinable:
        return [Outcome(first, answer)]
    _check_rows(answer, batch.size)
    if exact:
        return [Outcome(first, answer)]
    outcomes = []
    start = 0
    for part in batch.parts:
        outcomes.append(Outcome(part, _rows_of(answer, start, start + part.rows)))
        start += part.rows
    return outcomes


def _each(lane: Lane, run_size: RunSize, batch: Batch) -> list[Outcome]:
    """Run each part alone, so that the one at fault fails alone."""
    outcomes: list[Outcome] = []
    for part in batch.parts:
        try:
            outcomes += _run(lane, run_size, Batch([part], run_size.padded(part.rows)))
        except ServingError as error:
            outcomes.append(Outcome(part, None, error))
    return outcomes


def _run_smaller(lane: Lane, run_size: RunSize, batch: Batch, short: DeviceOutOfMemory) -> list[Outcome]:
    """Run the rows in batches of at most half the size, where there is such a size."""
    size = run_size.below(max(1, batch.size // 2) + 1)
    if size is None or size == batch.size:
        return [Outcome(part, None, _again(short)) for part in batch.parts]
    outcomes: list[Outcome] = []
    for part in batch.parts:
        for start in range(part.start, part.stop, size):
            piece = Part(part.request, start, min(part.stop, start + size))
            try:
                outcomes += _run(lane, run_size, Batch([piece], run_size.padded(piece.rows)))
            except ServingError as error:
                outcomes.append(Outcome(piece, None, error))
    return outcomes


def _gathered(lane: Lane, parts: Sequence[Sequence[Tensor]], size: int) -> tuple[Tensor, ...]:
    """Copy the rows of all parts into the lane's own memory; what is left of `size` is filled with the last row."""
    gathered = []
    for index, first in enumerate(parts[0]):
        array = lane.buffers.array(first.name, (size, *first.shape[1:]), first.array.dtype)
        start = 0
        for part in parts:
            rows = part[index].array
            array[start : start + len(rows)] = rows
            start += len(rows)
        array[start:] = array[start - 1]
        gathered.append(Tensor(first.name, array))
    return tuple(gathered)


def _rows_of(answer: Sequence[Tensor], start: int, stop: int) -> Answer:
    return tuple(Tensor(tensor.name, tensor.array[start:stop]) for tensor in answer)


def _check_rows(answer: Answer, size: int) -> None:
    for tensor in answer:
        if not tensor.shape or tensor.shape[0] != size:
            raise InferenceFailed(
                f"the model gave output {tensor.name!r} with the shape {list(tensor.shape)} for {size} rows: "
                "its first axis is not the batch"
            )


def _again(error: ServingError) -> ServingError:
    """Return the same error for another request: each holds the frames that it was raised through."""
    return type(error)(error.message, retry_after_s=error.retry_after_s, **error.details)
