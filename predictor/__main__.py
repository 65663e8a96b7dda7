"""`python -m predictor`: serve one model directory's tensors."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from predictor.model import PredictorModel
from predictor.settings import PredictorSettings
from serving.metrics import Metrics
from serving.server.life import VisionServer
from serving.server.run import run_server


async def serve(settings: PredictorSettings) -> None:
    """Serve until a signal."""
    metrics = Metrics("predictor")
    await VisionServer(settings, metrics, "kserve-vision predictor").serve([PredictorModel(settings, metrics)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the process' exit code."""
    return run_server("predictor", PredictorSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
