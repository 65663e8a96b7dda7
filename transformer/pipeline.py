"""The one path that every protocol takes: pictures to pixels, the predictor, tensors to answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from serving.call import Call
from serving.contract import ModelDirectory
from serving.errors import ClientError, RequestInvalid
from serving.queue import Hold, WorkQueue
from serving.v2 import Tensor, TensorSpec
from transformer.backend import Backend
from transformer.drawing import PictureFormat, render
from transformer.pictures import Limits, Prepared, prepare
from transformer.reuse import INDEX, Seen, Sharing, contents_of, is_quick
from transformer.tasks import Answer, Options, Task

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request of pictures comes to: one answer and one size for each picture."""

    answers: list[Answer]
    sizes: list[tuple[int, int]]
    model_version: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The path of one model."""

    directory: ModelDirectory
    task: Task[Any, Any]
    backend: Backend
    queue: WorkQueue
    limits: Limits
    sharing: Sharing | None = None
    """Where pictures that are asked of again need no work."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The V2 outputs of an answer that nobody has asked more of."""
        return self.task.specs(self.backend.outputs)

    async def answer(self, pictures: Sequence[bytes], options: Options, call: Call) -> Answered:
        """Answer the encoded pictures of one request.

        Raises:
            ServingError: of a picture (its place in the request is in the details), the queue, or the predictor.
        """
        if not pictures:
            raise RequestInvalid("the request holds no picture")
        contract = self.directory.contract
        call.rows = len(pictures)
        call.task = contract.task
        call.model_version = contract.model.version
        with self._let_in(pictures, call, shared=False):
            try:
                seen, reused = await self._see(pictures, call)
            except ClientError as error:
                _tell_place(error, len(pictures))
                raise
            decode = [partial(self.task.decode, each.tensors, each.picture, options) for each in seen]
            # What needed no work until here was not let in yet.
            with (
                self.queue.admit(reused, model=call.model_name, whole=False)
                if reused and not self.task.is_quick
                else nullcontext()
            ):
                answers = await self._postprocess(decode, call)
        call.model_version = seen[0].model_version or call.model_version
        sizes = [(each.picture.geometry.width, each.picture.geometry.height) for each in seen]
        return Answered(answers, sizes, call.model_version)

    async def to_json(self, answered: Answered, call: Call) -> list[Any]:
        """Return each answer as JSON's values; large ones are made off the event loop."""
        return await self._postprocess([answer.to_json for answer in answered.answers], call)

    async def to_tensors(self, answered: Answered, names: Collection[str], call: Call) -> tuple[Tensor, ...]:
        """Return the V2 outputs called `names`, one row for each answer."""
        (tensors,) = await self._postprocess([partial(self.task.to_tensors, answered.answers, names)], call)
        return tensors

    async def draw(self, picture: bytes, answer: Answer, picture_format: PictureFormat, call: Call) -> bytes:
        """Return the picture with its answer on it, as a file's bytes.

        Raises:
            RequestInvalid: the task has nothing to draw.
            ServingError: of the queue.
        """
        with self.queue.admit(1, model=call.model_name, whole=False), call.stage("draw"):
            return await self.queue.run_holding(call, partial(self._draw, picture, answer, picture_format))

    async def _see(self, pictures: Sequence[bytes], call: Call) -> tuple[list[Seen], int]:
        """Return what the model says of pictures, and of how many of them it needed no work to know."""
        if self.sharing is None:
            return await self._look(pictures, call), 0
        with call.stage("cache"):
            contents = await self._contents(pictures, call)
        return await self.sharing.see(pictures, contents, call, self._look)

    def _let_in(self, pictures: Sequence[bytes], call: Call, *, shared: bool) -> AbstractContextManager[None]:
        """Let pictures in until they are answered; where requests share their work, until the predictor has seen
        those that it has not.
        """
        if shared is (self.sharing is None):
            return nullcontext()
        return self.queue.admit(len(pictures), sum(map(len, pictures)), model=call.model_name)

    async def _contents(self, pictures: Sequence[bytes], call: Call) -> list[bytes]:
        if is_quick(pictures):
            return contents_of(pictures)
        with self.queue.admit(len(pictures), model=call.model_name, whole=False):
            return await self.queue.run(call, partial(contents_of, pictures))

    async def _look(self, pictures: Sequence[bytes], call: Call) -> list[Seen]:
        """Prepare pictures, and ask the predictor; an error about one of them has its place in the details."""
        with self._let_in(pictures, call, shared=True):
            with call.stage("preprocess"):
                prepared = await self._prepare(pictures, call)
            with call.stage("predictor"):
                predicted = await self.backend.infer([picture.pixels for picture in prepared], call)
        found = zip(predicted.pictures, prepared, strict=True)
        return [Seen.of(tensors, picture, predicted.model_version) for tensors, picture in found]

    def _draw(self, picture: bytes, answer: Answer, picture_format: PictureFormat, hold: Hold) -> bytes:
        drawing = answer.drawing()
        if drawing is None:
            task = self.directory.contract.task
            raise RequestInvalid(f"the task {task} has nothing to draw on a picture: ask for JSON")
        return render(picture, self.limits, drawing, picture_format, hold)

    async def _postprocess(self, works: Sequence[Callable[[], T]], call: Call) -> list[T]:
        """Do the works here where they are quick, and side by side in the pool where they are not."""
        with call.stage("postprocess"):
            if self.task.is_quick:
                return [work() for work in works]
            return await _all_or_none([asyncio.create_task(self.queue.run(call, work)) for work in works])

    async def _prepare(self, pictures: Sequence[bytes], call: Call) -> list[Prepared]:
        """Prepare all pictures side by side; the first fault ends the request, and the work that is left."""
        if len(pictures) == 1:
            return [await self._prepare_one(0, pictures[0], call)]
        return await _all_or_none(
            [asyncio.create_task(self._prepare_one(place, picture, call)) for place, picture in enumerate(pictures)]
        )

    async def _prepare_one(self, place: int, picture: bytes, call: Call) -> Prepared:
        try:
            rules = self.directory.contract.input
            prepared = await self.queue.run_holding(call, partial(prepare, picture, rules, self.limits))
        except ClientError as error:
            error.details[INDEX] = place
            raise
        call.widen_stage("decode", prepared.decode_s)
        return prepared


def _tell_place(error: ClientError, count: int) -> None:
    """Say which picture of a request an error is about, if it is about one of several."""
    index = error.details.pop(INDEX, None)
    if index is not None and count > 1:
        error.details[INDEX] = index
        error.message = f"picture {index} of {count} (counted from 0): {error.message}"


async def _all_or_none(tasks: Sequence[asyncio.Task[T]]) -> list[T]:
    """Wait for all tasks; the first fault ends those that are left."""
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
