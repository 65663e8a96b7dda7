"""`python -m predictor`: serve the tensors of a model directory, or of a repository of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from predictor.metrics import PredictorMetrics
from predictor.model import PredictorModel, places_to_load
from predictor.nvml import watch_gpus
from predictor.settings import PredictorSettings
from serving.server.life import VisionServer
from serving.server.run import run_server


async def serve(settings: PredictorSettings) -> None:
    """Serve until a signal."""
    metrics = PredictorMetrics()
    watch_gpus(metrics.registry)
    make = partial(PredictorModel, settings, metrics, loads=places_to_load(settings))
    await VisionServer(settings, metrics, "kserve-vision predictor", make).serve()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the process' exit code."""
    return run_server("predictor", PredictorSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
