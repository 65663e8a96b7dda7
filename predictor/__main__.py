"""`python -m predictor`: serve the tensors of a model directory, or of a repository of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from predictor.model import PredictorModel
from predictor.settings import PredictorSettings
from serving.cpu import cpu_limit
from serving.metrics import Metrics
from serving.server.life import VisionServer
from serving.server.run import run_server

LOADS_AT_ONCE: Final = 4
"""Models that are loaded side by side, where there are as many CPUs: each holds its graph in memory several times."""


async def serve(settings: PredictorSettings) -> None:
    """Serve until a signal."""
    metrics = Metrics("predictor")
    loads = asyncio.Semaphore(min(LOADS_AT_ONCE, cpu_limit()))
    make = partial(PredictorModel, settings, metrics, loads=loads)
    await VisionServer(settings, metrics, "kserve-vision predictor", make).serve()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the process' exit code."""
    return run_server("predictor", PredictorSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
