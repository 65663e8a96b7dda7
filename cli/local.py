"""The whole path in this process, with no server: for `kserve-vision predict --model`."""

from __future__ import annotations

from pathlib import Path

from edge.client import DirectClient
from predictor.metrics import PredictorMetrics
from predictor.model import PredictorModel
from predictor.settings import PredictorSettings
from serving.admission import Admission
from serving.call import Call
from serving.queue import WorkQueue
from transformer.model import make_pipeline, options_of
from transformer.pipeline import Pipeline
from transformer.settings import PictureSettings
from transformer.tasks import Options


async def open_pipeline(model_dir: Path, name: str) -> tuple[Pipeline, Options]:
    """Load a model directory into this process. Settings are the environment's.

    Raises:
        ModelLoadFailed: with what to mend.
    """
    metrics = PredictorMetrics("local")
    predictor = DirectClient(PredictorModel(PredictorSettings(model_dir=model_dir, model_name=name), metrics))
    directory = await predictor.open()
    settings = PictureSettings(model_dir=model_dir, model_name=name)
    queue = WorkQueue("the decoder", 1, Admission("the decoder", settings.bounds, metrics.queue_of()))
    pipeline = make_pipeline(directory, predictor, queue, settings, metrics)
    await pipeline.backend.meet(Call.from_headers({}, "local"))
    return pipeline, options_of(pipeline.task, settings)
