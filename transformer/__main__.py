"""`python -m transformer`: serve pictures in front of a predictor."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from serving.contract.repository import VersionFolder
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.server.run import run_server
from transformer.client import connect
from transformer.model import TransformerModel
from transformer.reuse import Reuse
from transformer.server import serve_pictures
from transformer.settings import TransformerSettings


async def serve(settings: TransformerSettings) -> None:
    """Serve until a signal. All models share one connection to the predictor."""
    metrics = Metrics("transformer")
    client = connect(settings)

    def make(folder: VersionFolder, queue: WorkQueue, reuse: Reuse | None) -> TransformerModel:
        return TransformerModel(settings, metrics, client, queue, folder, reuse=reuse)

    try:
        await serve_pictures(settings, metrics, "kserve-vision transformer", make)
    finally:
        await client.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the process' exit code."""
    return run_server("transformer", TransformerSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
