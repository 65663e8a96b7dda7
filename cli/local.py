"""A predictor inside this process, in the place of one behind a network: for `kserve-vision predict --model`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from predictor.loading import Loaded, load
from predictor.rows import run_rows
from predictor.settings import PredictorSettings
from serving.call import Call
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.v2 import InferRequest, InferResponse, ModelMetadata
from transformer.model import make_pipeline, options_of
from transformer.pipeline import Pipeline
from transformer.settings import TransformerSettings
from transformer.tasks import Options


class LocalPredictor:
    """The transformer's client seam, straight to a session."""

    def __init__(self, loaded: Loaded, queue: WorkQueue) -> None:
        self._loaded = loaded
        self._queue = queue

    async def metadata(self, model: str, call: Call) -> ModelMetadata:  # noqa: ARG002  # the seam's signature
        """Return what the session takes and gives."""
        version = self._loaded.directory.contract.model.version
        return ModelMetadata(model, (version,), "local", self._loaded.inputs, self._loaded.outputs)

    async def check_ready(self, model: str, call: Call) -> None:
        """Do nothing: it is loaded."""

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the session."""
        rows = request.inputs[0].shape[0]
        names = [spec.name for spec in self._loaded.outputs]
        work = partial(run_rows, self._loaded.session, self._loaded.run_size, request.inputs, names)
        with self._queue.admit(rows):
            outputs = await self._queue.run(call, work)
        return InferResponse(request.model_name, self._loaded.directory.contract.model.version, outputs)

    async def close(self) -> None:
        """Wait for runs that were begun."""
        await self._queue.close()


async def open_pipeline(model_dir: Path, name: str) -> tuple[Pipeline, Options]:
    """Load a model directory into this process: the whole path, with no server. Settings are the environment's.

    Raises:
        ModelLoadFailed: with what to mend.
    """
    loaded = load(PredictorSettings(model_dir=model_dir, model_name=name))
    settings = TransformerSettings(model_dir=model_dir, model_name=name)
    metrics = Metrics("local")

    def queue(what: str) -> WorkQueue:
        return WorkQueue(what, 1, settings.max_queue_rows, metrics.queue_rows.labels(name))

    client = LocalPredictor(loaded, queue("the model"))
    pipeline = make_pipeline(loaded.directory, client, queue("the decoder"), settings, metrics)
    await pipeline.backend.meet(Call.from_headers({}, "local"))
    return pipeline, options_of(loaded.directory.contract, settings)
