"""The transformer's model: the pipeline behind V1 and V2, and its waiting for the predictor."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from PIL import Image

from serving.call import Call
from serving.contract import Contract, ModelDirectory, load_model_directory
from serving.cpu import cpu_limit
from serving.errors import ModelLoadFailed, ModelNotReady, PredictorFault, RequestInvalid, ServingError
from serving.log import get_logger
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.server.model import ServedModel
from serving.v2 import InferRequest, InferResponse, ModelMetadata, TensorSpec
from serving.v2.message import ANY, check_inputs, check_requested, select_outputs
from transformer.client import PredictorInput, connect
from transformer.encoded import decode_base64, picture_of_instance
from transformer.pipeline import Answered, Pipeline
from transformer.settings import TransformerSettings
from transformer.tasks import Options, Task, task_of

logger = get_logger(__name__)

PLATFORM: Final = "kserve_vision_transformer"
INPUT: Final = TensorSpec("image", "BYTES", (ANY,))
"""Encoded pictures: raw bytes in a binary tensor, base64 in JSON."""

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
WARM_UP_ROUNDS: Final = 3


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
        task = task_of(directory)
        pause = FIRST_PAUSE_S
        while True:
            try:
                self._pipeline = self._make_pipeline(directory, task, await self._meet_predictor(directory.contract))
                await self._warm_up(self._pipeline)
            except ModelLoadFailed:
                raise
            except ServingError as error:
                if str(error) != self._waits_for:
                    logger.info("waiting for the predictor", model=self.name, reason=str(error))
                self._waits_for = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
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
        """Ask the predictor: a transformer whose predictor is gone should get no traffic."""
        await self._client.check_ready(self.name, Call.from_headers({}, "probe"))

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

    def default_options(self) -> Options:
        """Return what the settings, or else the contract, say of the answer."""
        rules = self.pipeline.directory.contract.output
        top_k, threshold = self._settings.top_k, self._settings.confidence_threshold
        return Options(
            top_k=rules.top_k if top_k is None else top_k,
            confidence_threshold=rules.confidence_threshold if threshold is None else threshold,
        )

    async def answer(self, pictures: Sequence[bytes], parameters: Mapping[str, Any], call: Call) -> Answered:
        """Answer encoded pictures, with what the request changes of the output rules."""
        options = self.default_options().overridden(parameters)
        try:
            return await self.pipeline.answer(pictures, options, call)
        except PredictorFault:
            if not await self._meet_again():
                raise
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
        instances = payload.get("instances")
        if not isinstance(instances, list) or not instances:
            raise RequestInvalid('"instances" must be a list with at least one {"b64": "..."}')
        parameters = payload.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise RequestInvalid('"parameters" must be an object')
        pictures = [picture_of_instance(instance, number) for number, instance in enumerate(instances)]
        answered = await self.answer(pictures, parameters, call)
        return {"predictions": [answer.to_json() for answer in answered.answers]}

    async def _meet_predictor(self, contract: Contract) -> PredictorInput:
        await self._client.check_ready(self.name, Call.from_headers({}, "probe"))
        metadata = await self._client.metadata(self.name, Call.from_headers({}, "probe"))
        return PredictorInput.of(metadata, contract)

    async def _meet_again(self) -> bool:
        """Ask the predictor anew what it takes: it may have been replaced by one that is fused otherwise.

        Return whether that has changed.
        """
        pipeline = self.pipeline
        found = await self._meet_predictor(pipeline.directory.contract)
        if found == pipeline.input:
            return False
        logger.warning("the predictor takes another input", model=self.name, tensor=str(found.tensor))
        self._pipeline = replace(pipeline, input=found)
        return True

    def _make_pipeline(self, directory: ModelDirectory, task: Task[Any], found: PredictorInput) -> Pipeline:
        return Pipeline(
            model_name=self.name,
            directory=directory,
            task=task,
            client=self._client,
            queue=self._queue,
            limits=self._settings.limits,
            input=found,
            metrics=self._metrics,
        )

    async def _warm_up(self, pipeline: Pipeline) -> None:
        """Send a picture down the whole path: the first one pays for imports, connections and tables."""
        picture = io.BytesIO()
        rules = pipeline.directory.contract.input
        Image.effect_noise((2 * rules.width, 2 * rules.height), 64).convert("RGB").save(picture, "JPEG")
        for _ in range(WARM_UP_ROUNDS):
            call = Call.from_headers({}, "warm-up")
            await pipeline.answer([picture.getvalue()], self.default_options(), call)
