"""The one path that every protocol takes: pictures to pixels, the predictor, tensors to answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from serving.call import Call
from serving.contract import ModelDirectory
from serving.errors import ClientError, RequestInvalid
from serving.queue import WorkQueue
from transformer.backend import Backend
from transformer.pictures import Limits, Prepared, prepare
from transformer.tasks import Answer, Options, Task


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
    task: Task[Any]
    backend: Backend
    queue: WorkQueue
    limits: Limits

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
        with self.queue.admit(len(pictures)), call.stage("preprocess"):
            prepared = await self._prepare(pictures, call)
        pixels = prepared[0].pixels[None] if len(prepared) == 1 else np.stack([p.pixels for p in prepared])
        with call.stage("predictor"):
            response = await self.backend.infer(pixels, call)
        with call.stage("postprocess"):
            geometries = [picture.geometry for picture in prepared]
            answers = self.task.decode(response, geometries, options)
        call.model_version = response.model_version or call.model_version
        return Answered(answers, [(g.width, g.height) for g in geometries], call.model_version)

    async def _prepare(self, pictures: Sequence[bytes], call: Call) -> list[Prepared]:
        """Prepare all pictures side by side; the first fault ends the request, and the work that is left."""
        if len(pictures) == 1:
            return [await self._prepare_one(pictures[0], call)]
        tasks = [asyncio.create_task(self._prepare_one(picture, call)) for picture in pictures]
        try:
            return await asyncio.gather(*tasks)
        except ClientError as error:
            faulty = next(i for i, task in enumerate(tasks) if task.done() and task.exception() is error)
            error.details["index"] = faulty
            error.message = f"picture {faulty} of {len(pictures)} (counted from 0): {error.message}"
            raise
        finally:
            for task in tasks:
                task.cancel()

    async def _prepare_one(self, picture: bytes, call: Call) -> Prepared:
        return await self.queue.run(call, partial(prepare, picture, self.directory.contract.input, self.limits))
