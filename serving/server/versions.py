"""Versions on their way in and out: opened with what is told of it, and closed when their last request is answered.

A closing is a task of its own, which nothing interrupts: whoever ends a load, or hangs up, does not end that. So every
version that was opened, or half opened, is closed once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from serving.contract.repository import VersionFolder
from serving.errors import ModelLoadFailed
from serving.log import get_life_logger
from serving.metrics import Metrics
from serving.server.model import ServedModel, ServedVersion, State

logger = get_life_logger()

Make = Callable[[VersionFolder], ServedVersion]


class Versions:
    """Makes, opens and closes the versions of all models; what becomes of them stands in the log and the metrics."""

    def __init__(self, make: Make, metrics: Metrics) -> None:
        self.make = make
        self._metrics = metrics
        self._closing: dict[ServedVersion, asyncio.Task[None]] = {}
        self._shown: dict[str, set[str]] = {}

    @property
    def leaving(self) -> tuple[ServedVersion, ...]:
        """Those that are being closed, or wait for it."""
        return tuple(self._closing)

    async def open(self, version: ServedVersion, *, patient: bool) -> None:
        """Open a version: it is READY when this returns, or closed, with its `failure`."""
        if version.folder.fault:
            _give_up(version, ModelLoadFailed(version.folder.fault))
            return
        started = time.perf_counter()
        try:
            await version.open(patient=patient)
            version.state = State.READY
        except ModelLoadFailed as error:
            _give_up(version, error)
        except Exception as error:  # noqa: BLE001  # one version's unforeseen failure must not end the others
            unforeseen = ModelLoadFailed(f"{type(error).__name__} while the model was loaded: {error}")
            _give_up(version, unforeseen, cause=error)
        finally:
            if version.state is not State.READY:
                await asyncio.wait([self._close_when_idle(version)])
        if version.state is State.READY:
            seconds = time.perf_counter() - started
            self._metrics.load_seconds.labels(version.name, version.version).set(seconds)
            logger.info("ready", model=version.name, version=version.version, seconds=round(seconds, 3))

    def retire(self, versions: Iterable[ServedVersion]) -> None:
        """Begin to close those that are ready, which nobody finds any more; the others are closed already."""
        for each in versions:
            if each.state is State.READY:
                self._close_when_idle(each)

    def closed(self, name: str) -> asyncio.Future[list[None]]:
        """Return what is done once all versions of a model are closed that are being closed now."""
        return asyncio.gather(*(task for each, task in self._closing.items() if each.name == name))

    async def close(self) -> None:
        """Close those that wait for it, whoever has them borrowed: the server ends."""
        for each in self._closing:
            each.abandon()
        await asyncio.gather(*self._closing.values())

    def show(self, name: str, model: ServedModel | None) -> None:
        """Let the metric tell which versions of a model are ready, and nothing of those that are gone."""
        for version in self._shown.pop(name, ()):
            self._metrics.model_ready.remove(name, version)
        if model is not None:
            found = (*model.coming, *model.versions)  # of two of one name, the second is asked
            self._shown[name] = {each.version for each in found}
            for each in found:
                self._metrics.model_ready.labels(name, each.version).set(each.state is State.READY)

    def _close_when_idle(self, version: ServedVersion) -> asyncio.Task[None]:
        if version.state is not State.UNAVAILABLE:
            version.state = State.UNLOADING
        task = self._closing[version] = asyncio.create_task(self._close(version))
        return task

    async def _close(self, version: ServedVersion) -> None:
        await version.until_idle()
        try:
            await version.close()
        except Exception:  # nobody finds it any more, and somebody waits to be told so
            logger.exception("close failed", model=version.name, version=version.version)
        del self._closing[version]
        if version.state is State.UNLOADING:
            logger.info("unloaded", model=version.name, version=version.version)


def _give_up(version: ServedVersion, error: ModelLoadFailed, *, cause: Exception | None = None) -> None:
    # A fresh one: the error that was raised holds the frames of the load, and all that they had read.
    version.failure = type(error)(error.message)
    version.state = State.UNAVAILABLE
    logger.error(
        "load failed",
        model=version.name,
        version=version.version,
        code=error.code,
        message=error.message,
        exc_info=cause,
    )
