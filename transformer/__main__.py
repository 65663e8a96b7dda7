"""`python -m transformer`: serve pictures in front of a predictor."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware

from serving.call import REQUEST_ID_HEADERS
from serving.metrics import Metrics
from serving.server.life import VisionServer
from serving.server.run import run_server
from transformer.model import TransformerModel
from transformer.routes import PictureRoutes
from transformer.settings import TransformerSettings


async def serve(settings: TransformerSettings) -> None:
    """Serve until a signal."""
    metrics = Metrics("transformer")
    model = TransformerModel(settings, metrics)
    routes = PictureRoutes(model, metrics, settings).router()
    server = VisionServer(settings, metrics, "kserve-vision transformer", [routes])
    if settings.cors_origins:
        server.app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=list(REQUEST_ID_HEADERS),
        )
    await server.serve([model])


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the process' exit code."""
    return run_server("transformer", TransformerSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
