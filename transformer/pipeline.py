"""The one path that every protocol takes: pictures to tensors, the predictor, tensors to answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from serving.call import Call
from serving.contract import ModelDirectory
from serving.errors import ClientError, ContractMismatch, RequestInvalid
from serving.log import get_logger
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.v2 import InferRequest, InferResponse, Tensor
from serving.v2.message import RequestedOutput
from serving.v2.tensor import Array
from transformer.client import PredictorClient, PredictorInput
from transformer.pictures import Limits, Prepared, prepare, to_model_input
from transformer.tasks import Answer, Options, Task

logger = get_logger(__name__)

CONTRACT_PARAMETER = "contract"
"""The parameter of our predictor's answers that carries the digest of its contract; a foreign server has none."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request of pictures comes to: one answer and one size for each picture."""

    answers: list[Answer]
    sizes: list[tuple[int, int]]
    model_version: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The path of one model."""

    model_name: str
    directory: ModelDirectory
    task: Task[Any]
    client: PredictorClient
    queue: WorkQueue
    limits: Limits
    input: PredictorInput
    metrics: Metrics

    async def answer(self, pictures: Sequence[bytes], options: Options, call: Call) -> Answered:
        """Answer encoded pictures, all of one request, in one call of the predictor.

        Raises:
            ServingError: of a picture (its place in the request is in the details), the queue, or the predictor.
        """
        if not pictures:
            raise RequestInvalid("the request holds no picture")
        contract = self.directory.contract
        call.rows = len(pictures)
        call.task = contract.task
        call.model_version = contract.model.version
        self.queue.admit(len(pictures))
        with call.stage("preprocess"):
            prepared = await self._prepare(pictures, call)
            array = await self._to_array(prepared, call)
        request = InferRequest(
            model_name=self.model_name,
            inputs=(Tensor(self.input.tensor.name, array),),
            id=call.request_id,
            outputs=(RequestedOutput(contract.output.tensor),) if contract.output.tensor else (),
        )
        with call.stage("predictor"):
            response = await self.client.infer(request, call)
        self._check_contract(response)
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
        return await self.queue.run(1, call, partial(prepare, picture, self.directory.contract.input, self.limits))

    async def _to_array(self, prepared: Sequence[Prepared], call: Call) -> Array:
        pixels = prepared[0].pixels[None] if len(prepared) == 1 else np.stack([p.pixels for p in prepared])
        if not self.input.takes_numbers:
            return pixels
        return await self.queue.run(1, call, partial(to_model_input, pixels, self.directory.contract.input))

    def _check_contract(self, response: InferResponse) -> None:
        theirs = response.parameters.get(CONTRACT_PARAMETER)
        if theirs is None or theirs == self.directory.digest:
            return
        self.metrics.contract_mismatches.labels(self.model_name).inc()
        logger.error("contract mismatch", model=self.model_name, predictor=theirs, transformer=self.directory.digest)
        raise ContractMismatch(
            f"the predictor serves the contract {str(theirs)[:12]}, this transformer decodes with "
            f"{self.directory.digest[:12]}: give both the same model directory",
            retry_after_s=5,
        )
