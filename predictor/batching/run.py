"""One batch on one lane: gather the rows, run the model, part the answers. On the lane's thread.

What fails costs only those who are at fault. A batch that the model refuses is run again, each request alone; one that
the device has no memory for is run again as smaller ones, once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from predictor.batching.request import Answer, Batch, Part, joined
from predictor.batching.sizes import RunSize
from predictor.engines import Lane
from serving.errors import DeviceOutOfMemory, InferenceFailed, ServingError, TensorInvalid, without_frames
from serving.v2 import Tensor


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
        answers = _run(lane, run_size, [part.inputs for part in batch.parts], batch.outputs, batch.size)
    except ServingError as error:
        seconds = time.monotonic() - began
        fitted = not isinstance(error, DeviceOutOfMemory)
        return Ran(_after(error, lane, run_size, batch), seconds, failed=True, fitted=fitted)
    seconds = time.monotonic() - began
    return Ran([Outcome(part, answer) for part, answer in zip(batch.parts, answers, strict=True)], seconds)


def run_rows(lane: Lane, run_size: RunSize, inputs: Sequence[Tensor], outputs: Sequence[str]) -> Answer:
    """Run the rows of `inputs` here and now, in as many runs as they need.

    Raises:
        InferenceFailed: a run failed, or gave another number of rows than it got.
        ServingError: as `Lane.run`.
    """
    rows = inputs[0].shape[0]
    answers: list[Answer] = []
    for start in range(0, rows, run_size.largest):
        cut = inputs if rows <= run_size.largest else _rows_of(inputs, start, start + run_size.largest)
        answers += _run(lane, run_size, [cut], outputs, run_size.padded(cut[0].shape[0]))
    return joined(answers)


def _run(
    lane: Lane, run_size: RunSize, parts: Sequence[Sequence[Tensor]], outputs: Sequence[str], size: int
) -> list[Answer]:
    """Run the rows of all parts together, as `size` rows, and return the answer of each part."""
    rows = [part[0].shape[0] for part in parts]
    whole = len(parts) == 1 and rows[0] == size
    answer = lane.run(parts[0] if whole else _gathered(lane, parts, size), outputs)
    if run_size.joinable:
        _check_rows(answer, size)
    if whole:
        return [answer]
    ends = list(accumulate(rows))
    return [_rows_of(answer, end - count, end) for end, count in zip(ends, rows, strict=True)]


def _after(error: ServingError, lane: Lane, run_size: RunSize, batch: Batch) -> list[Outcome]:
    """Return what becomes of a batch whose run has failed."""
    match error:
        case DeviceOutOfMemory() if (size := run_size.below(max(1, batch.size // 2) + 1)) not in (None, batch.size):
            return _run_each(lane, run_size, [piece for part in batch.parts for piece in part.cut(size)])
        case InferenceFailed() | TensorInvalid() if len(batch.parts) > 1:
            return _run_each(lane, run_size, batch.parts)
        case _:
            return [Outcome(part, None, _again(error)) for part in batch.parts]


def _run_each(lane: Lane, run_size: RunSize, parts: Sequence[Part]) -> list[Outcome]:
    """Run each part alone, so that the one at fault fails alone."""
    outcomes: list[Outcome] = []
    for part in parts:
        try:
            (answer,) = _run(lane, run_size, [part.inputs], part.request.outputs, run_size.padded(part.rows))
        except ServingError as error:
            outcomes.append(Outcome(part, None, without_frames(error)))
        else:
            outcomes.append(Outcome(part, answer))
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
    """Return the same error for one of several requests: each goes its own way, without the frames of the run."""
    copied = type(error)(error.message, retry_after_s=error.retry_after_s, **error.details)
    copied.__cause__ = without_frames(error).__cause__
    return copied
