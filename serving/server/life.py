"""A server's life: open the doors, load, serve, drain, stop.

::

    ports open ──▶ loading ──▶ ready ──▶ draining ──▶ doors closed ──▶ models closed
    (live, 503)               (200)     (503, still serving)  (accepted requests end)

The ports open before the models load, so that liveness can be told from readiness. The SDK loads first, so that a slow
load looks dead; and on SIGTERM it closes REST at once, deletes the models, and only then drains gRPC.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from serving.errors import ModelLoadFailed
from serving.log import get_life_logger
from serving.metrics import Metrics
from serving.sdk import ModelServer, PredictorConfig
from serving.server.dataplane import VisionDataPlane
from serving.server.edge import make_app
from serving.server.grpc import GrpcDoor, InferenceService
from serving.server.model import ServedModel
from serving.server.rest import RestDoor
from serving.server.routes import ProtocolRoutes
from serving.settings import ServerSettings
from serving.version import __version__

logger = get_life_logger()

GC_THRESHOLDS: Final = (5_000, 10, 10)
"""How many new objects a round of the collector waits for, where Python's 700 are a request or two."""


class VisionServer(ModelServer):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's model server with a life of its own."""

    def __init__(
        self, settings: ServerSettings, metrics: Metrics, title: str, routes: Sequence[APIRouter] = ()
    ) -> None:
        """Prepare a server; `routes` are those that it has beside the protocols'."""
        super().__init__(
            http_port=settings.http_port,
            grpc_port=settings.grpc_port,
            workers=1,
            enable_grpc=settings.enable_grpc,
            predictor_config=PredictorConfig(predictor_host=None),
        )
        self.settings = settings
        self.metrics = metrics
        self.dataplane = VisionDataPlane(self.registered_models)
        self._stop_signal: asyncio.Future[signal.Signals] | None = None
        self.app = make_app(title, __version__, self.dataplane)
        for router in (ProtocolRoutes(self.dataplane, metrics, settings).router(), *routes):
            self.app.include_router(router)

    async def serve(self, models: Sequence[ServedModel]) -> None:
        """Serve `models` until SIGTERM or SIGINT, on the running event loop; everything is closed when this returns.

        Raises:
            PortTaken: it cannot listen.
        """
        loop = asyncio.get_running_loop()
        self._stop_signal = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        for model in models:
            self.register_model(model)
        rest = RestDoor(self.app, self.dataplane, self.settings)
        grpc_door = GrpcDoor(InferenceService(self.dataplane, self.metrics, self.settings), self.settings)
        if self.settings.enable_grpc:
            await grpc_door.open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rest.serve())
            logger.info("listening", http_port=rest.port, grpc_port=grpc_door.port)
            loading = [tasks.create_task(self._open_model(model)) for model in models]
            tasks.create_task(_freeze_when_loaded(loading))
            await self._until_stopped()
            for task in loading:
                task.cancel()
            rest.close()
            await grpc_door.close(self.settings.drain_timeout_seconds)
        for model in models:
            await model.close()
        logger.info("stopped")

    def stop(self, sig: int) -> None:
        """Begin to drain; a second signal changes nothing."""
        if self._stop_signal is not None and not self._stop_signal.done():
            self._stop_signal.set_result(signal.Signals(sig))

    async def _until_stopped(self) -> None:
        assert self._stop_signal is not None  # noqa: S101  # set by serve
        received = await self._stop_signal
        self.dataplane.draining = True
        delay = 0.0 if received is signal.SIGINT else self.settings.drain_delay_seconds
        logger.info("draining", signal=received.name, delay_s=delay)
        await asyncio.sleep(delay)

    async def _open_model(self, model: ServedModel) -> None:
        started = time.perf_counter()
        try:
            await model.open()
        except ModelLoadFailed as error:
            self._give_up(model, error)
            return
        except Exception as error:  # noqa: BLE001  # one model's unforeseen failure must not end the others
            unforeseen = ModelLoadFailed(f"{type(error).__name__} while the model was loaded: {error}")
            self._give_up(model, unforeseen, cause=error)
            return
        model.ready = True
        seconds = time.perf_counter() - started
        self.metrics.load_seconds.labels(model.name).set(seconds)
        logger.info("ready", model=model.name, versions=model.metadata().versions, seconds=round(seconds, 3))

    def _give_up(self, model: ServedModel, error: ModelLoadFailed, *, cause: Exception | None = None) -> None:
        # A fresh one: the error that was raised holds the frames of the load, and all that they had read.
        model.failure = type(error)(error.message)
        logger.error("load failed", model=model.name, code=error.code, message=error.message, exc_info=cause)


async def _freeze_when_loaded(loading: Sequence[asyncio.Task[None]]) -> None:
    """Take what was loaded out of the garbage collector's rounds.

    Some 120,000 objects of the imported libraries live as long as the process; to look at them again and again made a
    large JSON body ten times as dear.
    """
    await asyncio.wait(loading)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
