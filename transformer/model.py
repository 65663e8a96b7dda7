"""The transformer's model: the pipeline behind V1 and V2, and its waiting for the predictor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from serving.call import Call
from serving.contract import Contract, ModelDirectory, load_model_directory
from serving.cpu import cpu_limit
from serving.errors import (
    DeadlineExceeded,
    ModelLoadFailed,
    ModelNotReady,
    Overloaded,
    PredictorFault,
    RequestInvalid,
    ServingError,
    Unavailable,
)
from serving.log import get_logger
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.server.model import ServedModel
from serving.v1 import read_instances
from serving.v2 import InferRequest, InferResponse, ModelMetadata, TensorSpec
from serving.v2.message import ANY, check_inputs, check_requested, select_outputs
from transformer.backend import Backend
from transformer.client import PredictorClient, connect
from transformer.encoded import decode_base64, picture_of_instance
from transformer.pictures import Limits, sample_jpeg
from transformer.pipeline import Answered, Pipeline
from transformer.settings import TransformerSettings
from transformer.tasks import Options, task_of

logger = get_logger(__name__)

PLATFORM: Final = "kserve_vision_transformer"
INPUT: Final = TensorSpec("image", "BYTES", (ANY,))
"""Encoded pictures: raw bytes in a binary tensor, base64 in JSON."""

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
WARM_UP_ROUNDS: Final = 3


CURED_BY_WAITING: Final = (Unavailable, DeadlineExceeded, Overloaded, PredictorFault)
"""What a predictor that is starting, or being replaced, may answer meanwhile."""


class TransformerModel(ServedModel):
    """A model directory's contract in front of a predictor."""

    def __init__(self, settings: TransformerSettings, metrics: Metrics) -> None:
        super().__init__(settings.model_name)
        self._settings = settings
        self._metrics = metrics
        self._client = connect(settings)
        self._queue = WorkQueue(
            "the decoder",
            settings.decode_threads or cpu_limit(),
            settings.max_queue_rows,
            metrics.queue_rows.labels(settings.model_name),
        )
        self._pipeline: Pipeline | None = None
        self._waits_for = ""

    async def open(self) -> None:
        """Read the contract, wait for the predictor however long it takes, and warm the whole path up."""
        directory = await asyncio.to_thread(load_model_directory, self._settings.model_dir)
        self._pipeline = make_pipeline(directory, self._client, self._queue, self._settings, self._metrics)
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._pipeline.backend.meet(Call.from_headers({}, "probe"))
                await self._warm_up(self._pipeline)
            except ModelLoadFailed:
                raise
            except CURED_BY_WAITING as error:
                if str(error) != self._waits_for:
                    logger.info("waiting for the predictor", model=self.name, reason=str(error))
                self._waits_for = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            except ServingError as error:
                raise ModelLoadFailed(f"the path cannot be warmed up: {error}") from error
            else:
                return

    async def close(self) -> None:
        """Wait for pictures that are being decoded, and close the connection."""
        await self._queue.close()
        await self._client.close()

    def check_version(self, version: str | None) -> None:
        """As every model; while it waits for the predictor, it says so."""
        if not self.ready and self.failure is None and self._waits_for:
            raise ModelNotReady(
                f"model {self.name!r} waits for its predictor: {self._waits_for}", retry_after_s=LONGEST_PAUSE_S
            )
        super().check_version(version)

    async def check_dependencies(self) -> None:
        """Ask the predictor: a transformer whose predictor is gone, or of another contract, should get no traffic."""
        await self.pipeline.backend.check(Call.from_headers({}, "probe"))

    def metadata(self) -> ModelMetadata:
        """Return what goes in, encoded pictures, and the task's typed outputs."""
        pipeline = self.pipeline
        return ModelMetadata(
            name=self.name,
            versions=(pipeline.directory.contract.model.version,),
            platform=PLATFORM,
            inputs=(INPUT,),
            outputs=pipeline.task.outputs,
        )

    @property
    def pipeline(self) -> Pipeline:
        """The path; only asked of a model that is ready."""
        assert self._pipeline is not None, "asked before it was ready"  # noqa: S101  # the doors check
        return self._pipeline

    async def answer(self, pictures: Sequence[bytes], parameters: Mapping[str, Any], call: Call) -> Answered:
        """Answer encoded pictures, with what the request changes of the output rules."""
        options = options_of(self.pipeline.directory.contract, self._settings).overridden(parameters)
        return await self.pipeline.answer(pictures, options, call)

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Answer V2: one BYTES tensor of pictures to the task's typed tensors."""
        pipeline = self.pipeline
        check_inputs(request.inputs, (INPUT,))
        check_requested(request.outputs, pipeline.task.outputs)
        pictures = [
            element if isinstance(element, bytes) else decode_base64(element, f"element {index} of 'image'")
            for index, element in enumerate(request.inputs[0].array)
        ]
        answered = await self.answer(pictures, request.parameters, call)
        return InferResponse(
            model_name=self.name,
            model_version=answered.model_version,
            id=request.id,
            outputs=select_outputs(pipeline.task.to_tensors(answered.answers), request.outputs),
            parameters={"task": pipeline.directory.contract.task, "contract": pipeline.directory.digest},
        )

    async def predict(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """Answer V1: instances with base64 pictures, to one prediction for each."""
        instances = read_instances(payload, '{"b64": "..."}', self._settings.max_queue_rows)
        parameters = payload.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise RequestInvalid('"parameters" must be an object')
        pictures = [picture_of_instance(instance, number) for number, instance in enumerate(instances)]
        answered = await self.answer(pictures, parameters, call)
        return {"predictions": [answer.to_json() for answer in answered.answers]}

    async def _warm_up(self, pipeline: Pipeline) -> None:
        """Send a picture down the whole path: the first one pays for connections, kernels and tables.

        The limits that were set for strangers' pictures are not for this one.
        """
        unlimited = replace(pipeline, limits=Limits())
        picture = sample_jpeg(pipeline.directory.contract.input)
        options = options_of(pipeline.directory.contract, self._settings)
        for _ in range(WARM_UP_ROUNDS):
            await unlimited.answer([picture], options, Call.from_headers({}, "warm-up"))


def make_pipeline(
    directory: ModelDirectory,
    client: PredictorClient,
    queue: WorkQueue,
    settings: TransformerSettings,
    metrics: Metrics,
) -> Pipeline:
    """Build the path of a model directory to a predictor, which is still to be met.

    Raises:
        ContractInvalid: the contract's task or decoder is not known.
    """
    backend = Backend(
        client,
        settings.model_name,
        directory,
        queue=queue,
        metrics=metrics,
        max_message_bytes=settings.grpc_max_send_message_length,
    )
    return Pipeline(directory, task_of(directory), backend, queue, settings.limits)


def options_of(contract: Contract, settings: TransformerSettings) -> Options:
    """Return what the settings, or else the contract, say of the answer."""
    rules, top_k, threshold = contract.output, settings.top_k, settings.confidence_threshold
    return Options(
        top_k=rules.top_k if top_k is None else top_k,
        confidence_threshold=rules.confidence_threshold if threshold is None else threshold,
    )
