"""`python -m edge`: serve pictures in one process, which is its own predictor."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge.model import EdgeModel
from edge.settings import EdgeSettings
from predictor.metrics import PredictorMetrics
from predictor.model import places_to_load
from predictor.nvml import watch_gpus
from serving.contract.repository import VersionFolder
from serving.queue import WorkQueue
from serving.server.run import run_server
from transformer.reuse import Reuse
from transformer.server import serve_pictures


async def serve(settings: EdgeSettings) -> None:
    """Serve until a signal."""
    metrics = PredictorMetrics("edge")
    watch_gpus(metrics.registry)
    loads = places_to_load(settings)

    def make(folder: VersionFolder, queue: WorkQueue, reuse: Reuse | None) -> EdgeModel:
        return EdgeModel(settings, metrics, queue, folder, loads=loads, reuse=reuse)

    await serve_pictures(settings, metrics, "kserve-vision", make)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the process' exit code."""
    return run_server("edge", EdgeSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
