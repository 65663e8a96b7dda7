"""A predictor inside this process, in the place of one behind a network: for `kserve-vision predict --model`."""

from __future__ import annotations

from pathlib import Path

from predictor.model import PredictorModel
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
    """The transformer's client seam, straight to the predictor's model."""

    def __init__(self, model: PredictorModel) -> None:
        self._model = model

    async def metadata(self, model: str, call: Call, version: str | None = None) -> ModelMetadata:  # noqa: ARG002  # the seam's signature
        """Return what the model takes and gives."""
        return self._model.metadata()

    async def check_ready(self, model: str, call: Call, version: str | None = None) -> None:
        """Do nothing: it is loaded."""

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the model."""
        return await self._model.infer(request, call)

    async def close(self) -> None:
        """Wait for runs that were begun."""
        await self._model.close()


async def open_pipeline(model_dir: Path, name: str) -> tuple[Pipeline, Options]:
    """Load a model directory into this process: the whole path, with no server. Settings are the environment's.

    Raises:
        ModelLoadFailed: with what to mend.
    """
    metrics = Metrics("local")
    model = PredictorModel(PredictorSettings(model_dir=model_dir, model_name=name), metrics)
    await model.open()
    settings = TransformerSettings(model_dir=model_dir, model_name=name)
    queue = WorkQueue("the decoder", 1, settings.max_queue_rows, metrics.queue_rows.labels("", ""))
    pipeline = make_pipeline(model.directory, LocalPredictor(model), queue, settings, metrics)
    await pipeline.backend.meet(Call.from_headers({}, "local"))
    return pipeline, options_of(pipeline.task, settings)
