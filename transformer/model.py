"""The transformer's model: the pipeline behind V1 and V2, and its waiting for the predictor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from serving.call import Call
from serving.contract import ModelDirectory, load_model_directory
from serving.contract.repository import VersionFolder
from serving.errors import (
    ContractInvalid,
    ContractMismatch,
    DeadlineExceeded,
    ModelLoadFailed,
    ModelNotFound,
    ModelNotReady,
    Overloaded,
    PredictorFault,
    RequestInvalid,
    ServingError,
    Unavailable,
    VersionNotFound,
)
from serving.log import get_logger
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.server.model import ServedVersion, State
from serving.v1 import read_instances
from serving.v2 import InferRequest, InferResponse, ModelMetadata, TensorSpec
from serving.v2.message import ANY, check_inputs, check_requested, select_outputs
from serving.v2.priority import is_urgent
from transformer.backend import Backend
from transformer.client import PredictorClient
from transformer.encoded import decode_base64, picture_of_instance
from transformer.pictures import Limits, sample_jpeg
from transformer.pipeline import Answered, Pipeline
from transformer.reuse import Reuse, Sharing
from transformer.settings import PictureSettings
from transformer.tasks import Options, Task, task_of

logger = get_logger(__name__)

PLATFORM: Final = "kserve_vision_transformer"
INPUT: Final = TensorSpec("image", "BYTES", (ANY,))
"""Encoded pictures: raw bytes in a binary tensor, base64 in JSON."""

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
WARM_UP_ROUNDS: Final = 3


CURED_BY_WAITING: Final = (Unavailable, DeadlineExceeded, Overloaded, PredictorFault)
"""What a predictor that is starting, or being replaced, may answer meanwhile."""


CURED_BY_SOMEBODY: Final = frozenset(
    error.code for error in (ModelLoadFailed, ContractInvalid, ModelNotFound, VersionNotFound)
)
"""The predictor's words for a model that it will not serve until somebody does something about it."""

MISMATCHES: Final = (ModelNotReady, ContractMismatch)
"""What the predictor serves is not what the contract says, and stays so until somebody replaces one of them."""


class TransformerModel(ServedVersion):
    """One version of a model: its contract, in front of a predictor."""

    def __init__(  # noqa: PLR0913  # the parts it is made of
        self,
        settings: PictureSettings,
        metrics: Metrics,
        client: PredictorClient,
        queue: WorkQueue,
        folder: VersionFolder,
        *,
        reuse: Reuse | None = None,
    ) -> None:
        """Prepare the version of `folder`; the connection, the decoder's queue and the cache are those of all."""
        super().__init__(folder)
        self._settings = settings.for_folder(folder)
        self._metrics = metrics
        self._client = client
        self._queue = queue
        self._reuse = reuse
        self._pipeline: Pipeline | None = None
        self._options = Options()
        self._waits_for = ""
        self._is_refused = False

    async def open(self, *, patient: bool = True) -> None:
        """Read the contract, wait for the predictor however long it takes, and warm the whole path up.

        Where the predictor says that it will not serve the model as things are, or serves another one under its name,
        only a `patient` one waits.
        """
        directory = self.folder.numbered(await asyncio.to_thread(load_model_directory, self.folder.path))
        await self.open_path(directory, patient=patient)

    async def open_path(self, directory: ModelDirectory, *, patient: bool) -> None:
        """Do the same with a contract that was read."""
        self.version = directory.contract.model.version
        self._pipeline = make_pipeline(
            directory,
            self._client,
            self._queue,
            self._settings,
            self._metrics,
            model_version=self.folder.version,
            sharing=None if self._reuse is None else self._reuse.sharing(self.name, directory.digest),
        )
        self._options = options_of(self._pipeline.task, self._settings)
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._pipeline.backend.meet(Call.from_headers({}, "probe"))
                await self._warm_up(self._pipeline)
            except ModelLoadFailed:
                raise
            except CURED_BY_WAITING as error:
                self._is_refused = error.details.get("predictor_code") in CURED_BY_SOMEBODY
                hopeless = self.why_hopeless(error, patient=patient)
                if hopeless:
                    raise ModelLoadFailed(hopeless) from error
                if str(error) != self._waits_for:
                    logger.info("waiting for the predictor", model=self.name, version=self.version, reason=str(error))
                self._waits_for = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            except ServingError as error:
                raise ModelLoadFailed(f"the path cannot be warmed up: {error}") from error
            else:
                return

    def why_hopeless(self, error: ServingError, *, patient: bool) -> str:
        """Return why it is no use to wait for a predictor that answers with this; empty where it may be."""
        if not patient and (self._is_refused or isinstance(error, MISMATCHES)):
            return f"the predictor does not serve it, and must first: {error.message}"
        return ""

    async def close(self) -> None:
        """Let go of what is kept of its pictures; what else it works with is shared."""
        if self._pipeline is not None and self._pipeline.sharing is not None:
            self._pipeline.sharing.close()

    @property
    def task(self) -> str:
        """The task of the contract, once it was read."""
        return self._pipeline.directory.contract.task if self._pipeline else ""

    @property
    def settled(self) -> bool:
        """As every version; or while it waits for a predictor that will not serve it until somebody mends that."""
        return super().settled or self._is_refused

    def check(self) -> None:
        """As every version; while it waits for the predictor, it says so."""
        if self.state is State.LOADING and self._waits_for:
            raise ModelNotReady(
                f"model {self.name!r} waits for its predictor: {self._waits_for}", retry_after_s=LONGEST_PAUSE_S
            )
        super().check()

    async def check_dependencies(self) -> None:
        """Ask the predictor: a transformer whose predictor is gone, or of another contract, should get no traffic."""
        await self.pipeline.backend.check(Call.from_headers({}, "probe"))

    def metadata(self) -> ModelMetadata:
        """Return what goes in, encoded pictures, and the task's typed outputs."""
        pipeline = self.pipeline
        return ModelMetadata(
            name=self.name,
            versions=(self.version,),
            platform=PLATFORM,
            inputs=(INPUT,),
            outputs=pipeline.outputs,
        )

    @property
    def pipeline(self) -> Pipeline:
        """The path; only asked of a model that is ready."""
        assert self._pipeline is not None, "asked before it was ready"  # noqa: S101  # the doors check
        return self._pipeline

    async def answer(self, pictures: Sequence[bytes], parameters: Mapping[str, Any], call: Call) -> Answered:
        """Answer encoded pictures, with what the request changes of the output rules."""
        return await self.pipeline.answer(pictures, self._options.overridden(parameters), call)

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Answer V2: one BYTES tensor of pictures to the task's typed tensors."""
        pipeline = self.pipeline
        check_inputs(request.inputs, (INPUT,))
        call.urgent = is_urgent(request.parameters)
        task = pipeline.task
        check_requested(request.outputs, (*pipeline.outputs, *task.extra_outputs))
        pictures = [
            element if isinstance(element, bytes) else decode_base64(element, f"element {index} of 'image'")
            for index, element in enumerate(request.inputs[0].array)
        ]
        answered = await self.answer(pictures, request.parameters, call)
        names = [output.name for output in request.outputs] or [spec.name for spec in pipeline.outputs]
        tensors = await pipeline.to_tensors(answered, names, call)
        return InferResponse(
            model_name=self.name,
            model_version=answered.model_version,
            id=request.id,
            outputs=select_outputs(tensors, request.outputs),
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
        return {"predictions": await self.pipeline.to_json(answered, call)}

    async def _warm_up(self, pipeline: Pipeline) -> None:
        """Send a picture down the whole path: the first one pays for connections, kernels and tables.

        The limits that were set for strangers' pictures are not for this one; and it must not be known already.
        """
        unlimited = replace(pipeline, limits=Limits(), sharing=None)
        picture = sample_jpeg(pipeline.directory.contract.input)
        for _ in range(WARM_UP_ROUNDS):
            await unlimited.answer([picture], self._options, Call.from_headers({}, "warm-up"))


def make_pipeline(  # noqa: PLR0913  # the parts it is made of
    directory: ModelDirectory,
    client: PredictorClient,
    queue: WorkQueue,
    settings: PictureSettings,
    metrics: Metrics,
    *,
    model_version: str | None = None,
    sharing: Sharing | None = None,
) -> Pipeline:
    """Build the path of a model directory to a predictor, which is still to be met; it is asked for `model_version`.

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
        model_version=model_version,
    )
    return Pipeline(directory, task_of(directory), backend, queue, settings.limits, sharing)


def options_of(task: Task[Any, Any], settings: PictureSettings) -> Options:
    """Return what the settings say of the answer; the contract says the rest."""
    return task.options_type().overridden(
        {"top_k": settings.top_k, "confidence_threshold": settings.confidence_threshold}
    )
