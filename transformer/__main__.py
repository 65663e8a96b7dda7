"""`python -m transformer`: serve pictures in front of a predictor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from starlette.middleware.cors import CORSMiddleware

from serving.call import REQUEST_ID_HEADERS
from serving.cpu import cpu_limit
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.server.life import VisionServer
from serving.server.run import run_server
from transformer.client import connect
from transformer.model import TransformerModel
from transformer.routes import PictureRoutes
from transformer.settings import TransformerSettings


async def serve(settings: TransformerSettings) -> None:
    """Serve until a signal. All models share one connection to the predictor, and one queue before the decoder."""
    metrics = Metrics("transformer")
    client = connect(settings)
    threads = settings.decode_threads or cpu_limit()
    queue = WorkQueue("the decoder", threads, settings.max_queue_rows, metrics.queue_rows.labels("", ""))
    make = partial(TransformerModel, settings, metrics, client, queue)
    server = VisionServer(settings, metrics, "kserve-vision transformer", make)
    server.app.include_router(PictureRoutes(server.dataplane, metrics, settings).router())
    if settings.cors_origins:
        server.app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=list(REQUEST_ID_HEADERS),
        )
    try:
        await server.serve()
    finally:
        await queue.close()
        await client.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the process' exit code."""
    return run_server("transformer", TransformerSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
