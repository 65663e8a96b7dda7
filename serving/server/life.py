"""A server's life: open the doors, load, serve, drain, stop.

::

    ports open ──▶ loading ──▶ ready ──▶ draining ──▶ doors closed ──▶ models closed
    (live, 503)               (200)     (503, still serving)  (accepted requests end)

What happens to the models meanwhile is the repository's. The ports open before the models load, so that liveness can be
told from readiness. The SDK loads first, so that a slow load looks dead; and on SIGTERM it closes REST at once, deletes
the models, and only then drains gRPC.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Sequence
from typing import Any, Final

from serving.errors import ServingError
from serving.log import get_life_logger
from serving.metrics import Metrics
from serving.sdk import ModelServer, PredictorConfig
from serving.server.body import Bodies
from serving.server.dataplane import VisionDataPlane
from serving.server.edge import VisionApp
from serving.server.grpc import GrpcDoor, InferenceService
from serving.server.repository import VisionRepository
from serving.server.rest import PortTaken, RestDoor
from serving.server.routes import ProtocolRoutes
from serving.server.versions import Make
from serving.settings import ServerSettings
from serving.version import __version__

logger = get_life_logger()

LOOK_S: Final = 1.0
"""Seconds between two looks at whether a server is of any use yet."""

GC_THRESHOLDS: Final = (5_000, 10, 10)
"""How many new objects a round of the collector waits for, where Python's 700 are a request or two."""


class Useless(RuntimeError):
    """A server has ended by itself, since it could not be ready any more (`EXIT_WHEN_USELESS`)."""


class VisionServer(ModelServer):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's model server with a life of its own."""

    def __init__(self, settings: ServerSettings, metrics: Metrics, title: str, make: Make) -> None:
        """Prepare a server of the models of the settings; `make` makes a version of its folder.

        `app` may get routes and middleware beside the protocols'.
        """
        self.repository = VisionRepository(settings.model_dir, settings.model_name, make, metrics)
        super().__init__(
            http_port=settings.http_port,
            grpc_port=settings.grpc_port,
            workers=1,
            registered_models=self.repository,
            enable_grpc=settings.enable_grpc,
            predictor_config=PredictorConfig(predictor_host=None),
        )
        self.settings = settings
        self.metrics = metrics
        self.dataplane = VisionDataPlane(self.repository)
        self.bodies = Bodies(settings.max_body_bytes, settings.bounds.max_bytes, metrics)
        self._stop_signal: asyncio.Future[signal.Signals] | None = None
        self._useless = ""
        self.app = VisionApp(title, __version__, self.dataplane, self.bodies)
        self._routes = ProtocolRoutes(self.dataplane, metrics, self.bodies, settings)
        self.app.include_router(self._routes.router())

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT, on the running event loop; everything is closed when this returns.

        Raises:
            PortTaken: it cannot listen.
            Useless: it has ended by itself.
        """
        try:
            await self._serve()
        finally:
            self.metrics.settle()
        if self._useless:
            raise Useless(self._useless)

    def stop(self, sig: int) -> None:
        """Begin to drain; a second signal changes nothing."""
        if self._stop_signal is not None and not self._stop_signal.done():
            self._stop_signal.set_result(signal.Signals(sig))

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop_signal = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        await self.repository.register()
        rest = RestDoor(self.app, self.dataplane, self.settings)
        grpc_door = GrpcDoor(InferenceService(self.dataplane, self.metrics, self.settings), self.bodies, self.settings)
        if self.settings.enable_grpc:
            try:
                await grpc_door.open()
            except PortTaken:
                rest.abandon()
                raise
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rest.serve())
            unix = {"unix_socket": str(self.settings.unix_socket)} if self.settings.unix_socket else {}
            logger.info("listening", http_port=rest.port, grpc_port=grpc_door.port, **unix)
            freezing = tasks.create_task(_freeze_when_loaded(self.repository.open()))
            looking = tasks.create_task(self._end_when_useless())
            await self._until_stopped()
            looking.cancel()
            await self.repository.end_changes()
            freezing.cancel()
            rest.close()
            await grpc_door.close(self.settings.drain_timeout_seconds)
        await self._routes.close()
        await self.repository.close()
        self.metrics.settle()
        logger.info("stopped")

    async def _until_stopped(self) -> None:
        assert self._stop_signal is not None  # noqa: S101  # set by serve
        received = await self._stop_signal
        self.dataplane.draining = True
        at_once = received is signal.SIGINT or self._useless
        delay = 0.0 if at_once else self.settings.drain_delay_seconds
        why = {"reason": self._useless} if self._useless else {"signal": received.name}
        logger.info("draining", **why, delay_s=delay)
        await asyncio.sleep(delay)

    async def _end_when_useless(self) -> None:
        """Stop by itself once nothing can make this server ready, if it may."""
        while self.settings.exit_when_useless and not self.settings.model_control and not self._useless:
            await asyncio.sleep(LOOK_S)
            try:
                self.dataplane.check_hope()
            except ServingError as error:
                self._useless = str(error)
                self.stop(signal.SIGTERM)


async def _freeze_when_loaded(loading: Sequence[asyncio.Future[Any]]) -> None:
    """Once the first model is loaded, take what is there out of the garbage collector's rounds.

    Some 120,000 objects of the imported libraries live as long as the process; to look at them again and again made a
    large JSON body ten times as dear.
    """
    await asyncio.wait(loading, return_when=asyncio.FIRST_COMPLETED)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
