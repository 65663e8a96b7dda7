"""The models that a server has: opened when it starts, and loaded and unloaded while it serves.

A change of one model is one task, which goes on when its caller is gone. A load opens what is new or changed *before*
it closes anything: what was served is served until its successor is ready, and stays where a part of the load fails.
Only what is unloaded, replaced or gone from the disk is closed, and only when its last request is answered.

The same load asked for twice is one. Another one, or an unload, ends the one that is under way: what somebody wants
last counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from serving.contract.repository import RepositoryLayout, VersionFolder, read_layout
from serving.errors import DeadlineExceeded, ModelLoadFailed, ModelNotFound, ModelNotReady
from serving.log import get_life_logger
from serving.metrics import Metrics
from serving.sdk import ModelRepository
from serving.server.model import ServedModel, ServedVersion, State

logger = get_life_logger()

NAMES_TOLD = 10
"""How many names of models an error lists."""

T = TypeVar("T")

Make = Callable[[VersionFolder], ServedVersion]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the repository's index."""

    name: str
    version: str
    state: State
    reason: str

    def to_json(self) -> dict[str, str]:
        """Return the line as Triton's clients read it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Change:
    """A load that was begun: of what, and the task whose result are the versions that failed."""

    folders: tuple[VersionFolder, ...]
    task: asyncio.Task[list[ServedVersion]]


class VisionRepository(ModelRepository):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's repository, with versions, and with changes that disturb nobody."""

    def __init__(self, root: Path, name: str, make: Make, metrics: Metrics) -> None:
        """Serve what lies under `root`; `name` is a single model directory's; `make` makes a version of its folder."""
        super().__init__()
        self._root = root
        self._name = name
        self._make = make
        self._metrics = metrics
        self._changes: dict[str, Change] = {}
        self._works: set[asyncio.Task[Any]] = set()
        self._first: WeakSet[ServedVersion] = WeakSet()
        self._is_stopping = False
        self._retiring: dict[ServedVersion, asyncio.Task[None]] = {}
        self._shown: dict[str, set[str]] = {}

    def find(self, name: str) -> ServedModel:
        """Return a model, ready or not.

        Raises:
            ModelNotFound: there is none of that name.
        """
        model: ServedModel | None = self.get_model(name)
        if model is None:
            raise ModelNotFound(f"there is no model {name!r:.80} here: this server has {told(self.models)}")
        return model

    def all(self) -> list[ServedModel]:
        """Return all models by their names."""
        return [model for _, model in sorted(self.models.items())]

    async def register(self) -> None:
        """Have every model of the disk, none of them open yet."""
        for name, folders in (await self._layout()).items():
            model = ServedModel(name, map(self._make, folders))
            self._first.update(model.versions)
            self.update(model)
            self._show(name)

    @property
    def starting(self) -> list[ServedVersion]:
        """The versions of the server's start of which it is not known yet what becomes of them."""
        served = (each for model in self.all() for each in model.versions)
        return [each for each in served if each in self._first and not each.settled]

    def open(self) -> list[asyncio.Task[list[ServedVersion]]]:
        """Begin to open the models that were registered; a task for each."""
        for model in self.all():
            folders = tuple(sorted((each.folder for each in model.versions), key=lambda folder: folder.path))
            self._begin(model.name, folders, self._open_all(model.versions, patient=True))
        return [change.task for change in self._changes.values()]

    async def load(self, name: str, timeout_s: float | None = None) -> None:
        """Serve a model as it lies on the disk now; what was served is, until then.

        Raises:
            ModelNotFound: the disk has none of that name.
            ModelLoadFailed: some or all of it cannot be opened; nothing that was served has gone.
            DeadlineExceeded: it takes longer than `timeout_s`; it goes on.
            ModelNotReady: another change came in between, or the server stops.
        """
        layout = await self._layout()
        if name not in layout:
            raise ModelNotFound(f"there is no model {name!r:.80} in {self._root}: it has {told(layout)}")
        folders = tuple(sorted(layout[name], key=lambda folder: folder.path))
        change = await self._to_the_end(self._changing_to(name, folders))
        failures = [each.failure for each in await _outcome(name, change, timeout_s) if each.failure is not None]
        if len(failures) == 1:
            raise failures[0].with_traceback(None)
        if failures:
            raise ModelLoadFailed("; ".join(failure.message for failure in failures))

    async def unload(self, name: str) -> None:
        """Serve a model no longer; what it was asked before is answered first.

        Raises:
            ModelNotFound: there is none of that name.
        """
        self.find(name)
        await self._to_the_end(self._unload(name))

    async def index(self) -> list[Entry]:
        """Return every version that is here, on its way in or out, or on the disk and not loaded."""
        layout = await self._layout()
        versions = [each for model in self.all() for each in (*model.versions, *model.coming)]
        entries = [Entry(each.name, each.version, each.state, each.reason) for each in (*versions, *self._retiring)]
        entries += [
            Entry(name, folder.version or "", State.UNAVAILABLE, folder.fault or "not loaded")
            for name, folders in layout.items()
            if name not in self.models
            for folder in folders
        ]
        return sorted(entries, key=lambda entry: (entry.name, len(entry.version), entry.version))

    async def end_changes(self) -> None:
        """End every load that is under way, and begin no other: the server stops."""
        self._is_stopping = True
        for change in list(self._changes.values()):
            await _end(change)

    async def close(self) -> None:
        """Close all versions; nobody asks any more."""
        await self.end_changes()
        for task in self._retiring.values():
            task.cancel()
        for each in (*self._retiring, *(each for model in self.all() for each in model.versions)):
            if each.state in (State.READY, State.UNLOADING):
                await each.close()

    async def _layout(self) -> RepositoryLayout:
        return await asyncio.to_thread(read_layout, self._root, self._name)

    async def _to_the_end(self, work: Coroutine[None, None, T]) -> T:
        """Await work that goes on when its caller does not."""
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return await asyncio.shield(task)

    async def _changing_to(self, name: str, folders: tuple[VersionFolder, ...]) -> Change:
        """Return the change to these folders, once no other one is under way."""
        while (change := self._under_way(name)) is not None and change.folders != folders:
            await _end(change)
        if self._is_stopping:
            raise ModelNotReady("the server is shutting down")
        return change or self._begin(name, folders, self._replace(name, folders))

    async def _unload(self, name: str) -> None:
        while (change := self._under_way(name)) is not None:
            await _end(change)
        model: ServedModel | None = self.models.pop(name, None)
        self._show(name)
        self._retire(model.versions if model else ())
        draining = [task for each, task in self._retiring.items() if each.name == name]
        if draining:
            await asyncio.wait(draining)

    def _begin(
        self, name: str, folders: tuple[VersionFolder, ...], work: Coroutine[None, None, list[ServedVersion]]
    ) -> Change:
        change = self._changes[name] = Change(folders, asyncio.create_task(work))
        return change

    def _under_way(self, name: str) -> Change | None:
        change = self._changes.get(name)
        return None if change is None or change.task.done() else change

    async def _replace(self, name: str, folders: tuple[VersionFolder, ...]) -> list[ServedVersion]:
        """Open what is new or changed, then close what has a successor or is gone; return what failed."""
        model: ServedModel | None = self.get_model(name)
        served = model.versions if model else ()
        kept = {each.folder for each in served if each.state is State.READY}
        coming = tuple(self._make(folder) for folder in folders if folder not in kept)
        if model is None:
            self.update(ServedModel(name, coming))
            return await self._open_all(coming, patient=False)
        model.coming = coming
        try:
            failed = await self._open_all(coming, patient=False)
        except asyncio.CancelledError:
            self._retire(coming)
            raise
        finally:
            model.coming = ()
        versions = {each.folder.path: each for each in served}
        for each in coming:
            before = versions.get(each.folder.path)
            if each.state is State.READY or before is None or before.state is not State.READY:
                versions[each.folder.path] = each
        paths = {folder.path for folder in folders}
        model.serve(
            each
            for path, each in versions.items()
            if path in paths or (failed and each.state is State.READY)  # gone from the disk
        )
        self._show(name)
        self._retire(each for each in served if each not in model.versions)
        return failed

    async def _open_all(self, versions: Iterable[ServedVersion], *, patient: bool) -> list[ServedVersion]:
        versions = tuple(versions)
        await asyncio.gather(*(self._open(each, patient=patient) for each in versions))
        return [each for each in versions if each.failure is not None]

    async def _open(self, version: ServedVersion, *, patient: bool) -> None:
        started = time.perf_counter()
        try:
            _check(version.folder)
            await version.open(patient=patient)
            version.state = State.READY
        except ModelLoadFailed as error:
            self._give_up(version, error)
        except Exception as error:  # noqa: BLE001  # one version's unforeseen failure must not end the others
            unforeseen = ModelLoadFailed(f"{type(error).__name__} while the model was loaded: {error}")
            self._give_up(version, unforeseen, cause=error)
        finally:
            if version.state is not State.READY:
                await version.close()
            self._show(version.name)
        if version.state is State.READY:
            seconds = time.perf_counter() - started
            self._metrics.load_seconds.labels(version.name, version.version).set(seconds)
            logger.info("ready", model=version.name, version=version.version, seconds=round(seconds, 3))

    def _give_up(self, version: ServedVersion, error: ModelLoadFailed, *, cause: Exception | None = None) -> None:
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

    def _retire(self, versions: Iterable[ServedVersion]) -> None:
        """Begin to close versions that nobody finds any more, each when its last request is answered."""
        for each in versions:
            if each.state is State.READY:
                each.state = State.UNLOADING
                self._retiring[each] = asyncio.create_task(self._drain(each))

    async def _drain(self, version: ServedVersion) -> None:
        await version.until_idle()
        await version.close()
        del self._retiring[version]
        logger.info("unloaded", model=version.name, version=version.version)

    def _show(self, name: str) -> None:
        """Let the metric tell which versions of a model are ready, and nothing of those that are gone."""
        for version in self._shown.pop(name, ()):
            self._metrics.model_ready.remove(name, version)
        model: ServedModel | None = self.get_model(name)
        if model is not None:
            self._shown[name] = {each.version for each in model.versions}
            for each in model.versions:
                self._metrics.model_ready.labels(name, each.version).set(each.state is State.READY)


def _check(folder: VersionFolder) -> None:
    if folder.fault:
        raise ModelLoadFailed(folder.fault)


async def _end(change: Change) -> None:
    change.task.cancel()
    await asyncio.wait([change.task])


async def _outcome(name: str, change: Change, timeout_s: float | None) -> list[ServedVersion]:
    """Wait for a change, which goes on when its caller does not."""
    done, _ = await asyncio.wait([change.task], timeout=timeout_s)
    if not done:
        raise DeadlineExceeded(f"model {name!r} is still being loaded; /v2/repository/index tells when it is ready")
    if change.task.cancelled():
        raise ModelNotReady(f"another load or unload of model {name!r} came in between")
    return change.task.result()


def told(names: Iterable[str]) -> str:
    """Return names for an error's sentence, some of them where there are many."""
    known = sorted(names)
    listed = ", ".join(map(repr, known[:NAMES_TOLD]))
    return (f"{listed} and {len(known) - NAMES_TOLD} more" if len(known) > NAMES_TOLD else listed) or "none"
