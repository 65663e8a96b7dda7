"""A server of pictures: the queue before its decoder, its routes, its life; whoever the predictor is."""

from __future__ import annotations

from collections.abc import Callable

from starlette.middleware.cors import CORSMiddleware

from serving.admission import Admission
from serving.call import REQUEST_ID_HEADERS
from serving.contract.repository import VersionFolder
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.server.life import VisionServer
from transformer.model import TransformerModel
from transformer.pictures import return_large_pictures
from transformer.reuse import Reuse
from transformer.routes import PictureRoutes
from transformer.settings import PictureSettings

MakeModel = Callable[[VersionFolder, WorkQueue, Reuse | None], TransformerModel]
"""Makes a version of its folder; the decoder's queue, and what is reused, are those of all."""


async def serve_pictures(settings: PictureSettings, metrics: Metrics, title: str, make: MakeModel) -> None:
    """Serve until a signal; every model is closed when this returns."""
    return_large_pictures()
    threads = settings.decode_threads or settings.cpu_count
    admission = Admission("the decoder", settings.bounds, metrics.queue_of())
    queue = WorkQueue("the decoder", threads, admission, settings.decode_bytes)
    metrics.load.labels("", "").set_function(lambda: queue.depth / threads)
    metrics.decoding_bytes.set_function(lambda: queue.held)
    reuse = Reuse.of(settings, metrics.registry)
    server = VisionServer(settings, metrics, title, lambda folder: make(folder, queue, reuse))
    server.app.include_router(PictureRoutes(server.dataplane, metrics, server.bodies, settings).router())
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
