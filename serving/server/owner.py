"""The owner of one model: the only task that changes what is served under its name.

Loads and unloads come from anywhere, and their callers hang up. Were each to do its own work, every step would have to
ask what the others have done meanwhile. So they are commands in a queue, which the owner takes one after another:

- It reads the disk when it begins a load, not when the load is asked for: no reading is older than what was done since.
- Equal commands that wait side by side are one, with one answer.
- A load is opened by a task of its own, so that the owner goes on taking commands. A load of the same files joins it;
  one of others, or an unload, ends it: what somebody wants last counts.
- A caller waits for an answer that the owner gives; that it waits no longer changes nothing.

What is new is opened *before* anything is closed, and takes its place in one step, without an `await` in between.
Closing is nobody's turn: an unload is answered when everything is closed, and the owner takes the next command before.

The owner ends with its model, when nothing waits any more; or when the server stops, and then answers all who wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from serving.contract.repository import VersionFolder
from serving.errors import ModelLoadFailed, ModelNotFound, ModelNotReady, ServingError
from serving.log import get_life_logger
from serving.server.model import ServedModel, ServedVersion, State, told
from serving.server.versions import Versions

logger = get_life_logger()

STOPPING = "the server is shutting down"

Answer = asyncio.Future[ServingError | None]
"""Why a command was not done, or None. It is a result, since asyncio complains of exceptions that nobody fetches."""

Read = Callable[[str], Awaitable[tuple[VersionFolder, ...]]]
"""Returns the folders that a model has on the disk now, or raises `ModelNotFound`."""


class Action(Enum):
    """What somebody wants of a model."""

    LOAD = auto()
    UNLOAD = auto()


@dataclass(frozen=True, slots=True)
class Command:
    """An action that waits for its turn, and its answer."""

    action: Action
    answer: Answer


@dataclass(frozen=True, slots=True)
class Loading:
    """A load under way: of what, the task that opens it, and the answers that it owes."""

    folders: frozenset[VersionFolder]
    task: asyncio.Task[None]
    answers: list[Answer]


class Owner:
    """Loads and unloads one model. `models` are those that are found, by name; only the owner changes its own."""

    def __init__(self, name: str, models: dict[str, ServedModel], read: Read, versions: Versions) -> None:
        """Begin to take commands."""
        self._name = name
        self._models = models
        self._read = read
        self._versions = versions
        self._waiting: deque[Command] = deque()
        self._current: Command | None = None
        self._asked = asyncio.Event()
        self._loading: Loading | None = None
        self._task = asyncio.create_task(self._run())

    @property
    def has_ended(self) -> bool:
        """Whether it takes no more commands: its model is gone."""
        return self._task.done()

    def ask(self, action: Action) -> Answer:
        """Let something be done in its turn."""
        if not self._waiting or self._waiting[-1].action is not action:
            self._waiting.append(Command(action, _answer()))
            self._asked.set()
        return self._waiting[-1].answer

    def start(self) -> Answer:
        """Open the versions that the model was registered with, for as long as it takes."""
        answer = _answer()
        versions = self._models[self._name].versions
        self._begin(versions, [each.folder for each in versions], answer, patient=True)
        return answer

    async def stop(self) -> None:
        """Take no more commands, and end the load that is under way."""
        for each in (self._current, *self._waiting):
            if each is not None:
                _settle([each.answer], ModelNotReady(STOPPING))
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._end_loading(STOPPING)

    async def _run(self) -> None:
        while (command := await self._next()) is not None:
            self._current = command
            try:
                await self._obey(command)
            except ServingError as error:
                _settle([command.answer], error)
            except Exception as error:  # whatever befell this command, there are others
                logger.exception("unforeseen", model=self._name, action=command.action.name)
                _settle([command.answer], ModelLoadFailed(f"{type(error).__name__} before the load began: {error}"))
            self._current = None

    async def _next(self) -> Command | None:
        """Wait for a command; there will be none where the model is gone."""
        while not self._waiting:
            if self._name not in self._models:
                return None
            self._asked.clear()
            await self._asked.wait()
        return self._waiting.popleft()

    async def _obey(self, command: Command) -> None:
        if command.action is Action.LOAD:
            await self._load(command.answer)
        else:
            await self._unload(command.answer)

    async def _load(self, answer: Answer) -> None:
        folders = await self._read(self._name)
        if self._loading is not None and self._loading.folders == frozenset(folders):
            self._loading.answers.append(answer)
            return
        await self._end_loading(self._came_in_between)
        model = self._models.setdefault(self._name, ServedModel(self._name, ()))
        # What a load that was ended left behind half open has no part in it.
        there = [each for each in model.versions if each.state in (State.READY, State.UNAVAILABLE)]
        served = {each.folder for each in there if each.state is State.READY}
        coming = tuple(self._versions.make(folder) for folder in folders if folder not in served)
        model.serve(there or coming)
        model.coming = coming if there else ()
        self._begin(coming, folders, answer, patient=False)

    async def _unload(self, answer: Answer) -> None:
        if self._name not in self._models:
            raise not_found(self._name, self._models)
        await self._end_loading(self._came_in_between)
        model = self._models.pop(self._name)
        self._versions.show(self._name, None)
        self._versions.retire(model.versions)
        self._versions.closed(self._name).add_done_callback(lambda _: _settle([answer], None))

    def _begin(
        self, coming: Sequence[ServedVersion], folders: Iterable[VersionFolder], answer: Answer, *, patient: bool
    ) -> None:
        wanted, answers = frozenset(folders), [answer]
        task = asyncio.create_task(self._open(coming, wanted, answers, patient=patient))
        self._loading = Loading(wanted, task, answers)
        self._show()

    async def _end_loading(self, reason: str) -> None:
        """End the load that is under way, if there is one, and begin to close what it has opened."""
        if self._loading is None:
            return
        _settle(self._loading.answers, ModelNotReady(reason))
        self._loading.task.cancel()
        await asyncio.wait([self._loading.task])
        self._loading = None
        model = self._models[self._name]
        self._versions.retire(model.coming)
        model.coming = ()
        self._show()

    async def _open(
        self, coming: Sequence[ServedVersion], wanted: frozenset[VersionFolder], answers: list[Answer], *, patient: bool
    ) -> None:
        async with asyncio.TaskGroup() as tasks:  # which, if it is cancelled, waits for all of them
            for each in coming:
                tasks.create_task(self._open_one(each, patient=patient))
        self._loading = None
        self._replace(coming, {folder.path for folder in wanted})
        _settle(answers, _failure([each.failure for each in coming if each.failure is not None]))

    async def _open_one(self, version: ServedVersion, *, patient: bool) -> None:
        try:
            await self._versions.open(version, patient=patient)
        finally:
            self._show()

    def _replace(self, coming: Sequence[ServedVersion], paths: set[Path]) -> None:
        """Serve what was opened; close what it replaces and, where nothing failed, what is gone from the disk."""
        model = self._models[self._name]
        before = model.versions
        versions = {each.folder.path: each for each in before}
        for each in coming:
            replaced = versions.get(each.folder.path)
            if each.state is State.READY or replaced is None or replaced.state is not State.READY:
                versions[each.folder.path] = each
        has_failed = any(each.failure is not None for each in coming)
        model.serve(
            each
            for path, each in versions.items()
            if path in paths or (has_failed and each.state is State.READY)  # gone from the disk
        )
        model.coming = ()
        self._show()
        self._versions.retire(each for each in before if each not in model.versions)

    def _show(self) -> None:
        self._versions.show(self._name, self._models.get(self._name))

    @property
    def _came_in_between(self) -> str:
        return f"another load or unload of model {self._name!r} came in between"


def not_found(name: str, names: Iterable[str], where: str = "here: this server") -> ModelNotFound:
    """Return the error of a name that there is not, with some of those that there are."""
    return ModelNotFound(f"there is no model {name!r:.80} {where} has {told(names)}")


def _answer() -> Answer:
    return asyncio.get_running_loop().create_future()


def _settle(answers: Iterable[Answer], error: ServingError | None) -> None:
    for each in answers:
        if not each.done():
            each.set_result(error)


def _failure(failures: list[ModelLoadFailed]) -> ModelLoadFailed | None:
    if len(failures) > 1:
        return ModelLoadFailed("; ".join(failure.message for failure in failures))
    return failures[0] if failures else None
