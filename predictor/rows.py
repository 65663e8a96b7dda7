"""Rows into runs of the model, and back.

Rows are what requests are made of: the first axis of every input and output. A request of more rows than one run takes
is cut into runs; a graph whose first axis is fixed gets runs of exactly that size, the last one filled up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from predictor.session import Session
from serving.errors import InferenceFailed, TensorInvalid
from serving.v2 import Tensor


@dataclass(frozen=True, slots=True)
class RunSize:
    """How many rows one run takes: at most `rows`, or, of a graph whose first axis is `fixed`, exactly that many.

    Outputs that are not `joinable` have no row axis (what a detector found in its one picture, say), so that a request
    can only have one row.
    """

    rows: int
    fixed: bool = False
    joinable: bool = True


def run_rows(session: Session, size: RunSize, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
    """Run the rows of `inputs` in as many runs as they need, and join the named outputs.

    Raises:
        InferenceFailed: a run failed, or gave another number of rows than it got.
        TensorInvalid: there are several rows, and the outputs cannot be joined.
    """
    rows = inputs[0].shape[0]
    if not size.joinable:
        if rows != 1:
            raise TensorInvalid(
                f"{rows} rows came: this model's outputs have no row axis, so that it takes one row a request"
            )
        return session.run(inputs, outputs)
    if rows == size.rows or (rows < size.rows and not size.fixed):
        return _run(session, inputs, outputs, rows)
    runs = [
        _run(session, _slice(inputs, start, size), outputs, min(size.rows, rows - start))
        for start in range(0, rows, size.rows)
    ]
    if len(runs) == 1:
        return runs[0]
    return tuple(Tensor(name, np.concatenate([run[index].array for run in runs])) for index, name in enumerate(outputs))


def _run(session: Session, inputs: Sequence[Tensor], outputs: Sequence[str], rows: int) -> tuple[Tensor, ...]:
    """Run once, and keep the first `rows` rows; the others were filled up."""
    given = inputs[0].shape[0]
    answers = session.run(inputs, outputs)
    for tensor in answers:
        if not tensor.shape or tensor.shape[0] != given:
            raise InferenceFailed(
                f"the model gave output {tensor.name!r} with the shape {list(tensor.shape)} for {given} rows: "
                "its first axis is not the batch"
            )
    return answers if given == rows else tuple(Tensor(t.name, t.array[:rows]) for t in answers)


def _slice(inputs: Sequence[Tensor], start: int, size: RunSize) -> tuple[Tensor, ...]:
    """Cut one run's rows from `start` on; where the size is fixed, a short end is filled with its last row."""
    cut = tuple(Tensor(t.name, t.array[start : start + size.rows]) for t in inputs)
    missing = size.rows - cut[0].shape[0]
    if not size.fixed or missing == 0:
        return cut
    return tuple(Tensor(t.name, np.concatenate([t.array, *[t.array[-1:]] * missing])) for t in cut)
