"""What moves through the batcher: a request, its parts, and the batches that they are put in.

A request whose rows do not fit into one batch is cut into parts; its answer is joined of their answers, in the order of
its rows, once the last one is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias

import numpy as np

from serving.errors import InferenceFailed
from serving.v2 import Tensor

Answer: TypeAlias = tuple[Tensor, ...]
Key: TypeAlias = tuple[object, ...]
"""What two requests must share to run in one batch: names, datatypes and shapes of the inputs but for the first axis,
and the outputs that are wanted."""


@dataclass(slots=True, eq=False)
class BatchRequest:
    """The rows of one request, on their way.

    `deadline` and the times are on the batcher's clock, in seconds. `answer` is settled once: by the batcher, by the
    timer of the deadline, or by a caller that gives up, which cancels it.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    deadline: float | None = None
    urgent: bool = False
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    arrived: float = 0.0
    queued: float = 0.0
    """When it arrived, or stood in line again for the rest of its rows."""
    began: float | None = None
    """When its first rows began to run."""
    ended: float = 0.0
    """When its last rows had run, or it was given up."""
    taken: int = 0
    """Rows that were put into batches."""
    answered: int = 0
    parts: list[tuple[int, Answer]] = field(default_factory=list)
    key: Key = field(init=False)

    def __post_init__(self) -> None:
        """Work out what it must share with its neighbours in a batch."""
        self.key = (*((t.name, t.array.dtype, t.shape[1:]) for t in self.inputs), self.outputs)

    @property
    def rows(self) -> int:
        """The number of its rows."""
        return self.inputs[0].shape[0]

    @property
    def left(self) -> int:
        """Rows that are in no batch yet; none once nobody waits for the answer."""
        return 0 if self.answer.done() else self.rows - self.taken

    @property
    def waited_s(self) -> float:
        """Seconds from its arrival to its first run; to its end where there was none."""
        return max(0.0, (self.began or self.ended) - self.arrived)

    @property
    def ran_s(self) -> float:
        """Seconds from its first run to the end of its last."""
        return max(0.0, self.ended - self.began) if self.began is not None else 0.0

    def take(self, most: int) -> Part:
        """Cut off its next rows, at most so many."""
        start, self.taken = self.taken, min(self.rows, self.taken + most)
        return Part(self, start, self.taken)

    def receive(self, part: Part, answer: Answer) -> None:
        """Take the answer of one of its parts; the last one to come settles the whole."""
        if self.answer.done():
            return
        self.parts.append((part.start, answer))
        self.answered += part.rows
        if self.answered == self.rows:
            answers = [answer for _, answer in sorted(self.parts, key=itemgetter(0))]
            self.parts = []
            try:
                self.answer.set_result(joined(answers))
            except (ValueError, MemoryError) as error:
                self.refuse(InferenceFailed(f"the answers of its {self.rows} rows cannot be joined: {error}"))

    def refuse(self, error: Exception) -> None:
        """Answer with an error, unless it was answered; parts that still run are for nobody."""
        self.parts = []
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of a request: those from `start` to before `stop`."""

    request: BatchRequest
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many they are."""
        return self.stop - self.start

    def cut(self, size: int) -> list[Part]:
        """Return its rows in pieces of at most `size`."""
        starts = range(self.start, self.stop, size)
        return [Part(self.request, start, min(self.stop, start + size)) for start in starts]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The rows, as views of the request's."""
        if self.rows == self.request.rows:
            return self.request.inputs
        return tuple(Tensor(t.name, t.array[self.start : self.stop]) for t in self.request.inputs)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Parts that run together, as `size` rows: their own, and some that fill it up."""

    parts: Sequence[Part]
    size: int

    @property
    def rows(self) -> int:
        """The rows of its parts."""
        return sum(part.rows for part in self.parts)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that are wanted of all of them."""
        return self.parts[0].request.outputs


def joined(answers: Sequence[Answer]) -> Answer:
    """Join the answers of some rows and of those that follow them."""
    if len(answers) == 1:
        return answers[0]
    return tuple(
        Tensor(tensor.name, np.concatenate([answer[index].array for answer in answers]))
        for index, tensor in enumerate(answers[0])
    )
