"""The models that a server has: opened when it starts, and loaded and unloaded while it serves.

What is served under a name is changed by its owner alone (`owner.py`): here commands are handed to the owners, answers
waited for, and what there is is found and listed.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from weakref import WeakSet

from serving.contract.repository import RepositoryLayout, VersionFolder, read_layout
from serving.errors import DeadlineExceeded, ModelNotReady
from serving.metrics import Metrics
from serving.sdk import ModelRepository
from serving.server.model import ServedModel, ServedVersion, State
from serving.server.owner import STOPPING, Action, Answer, Owner, not_found
from serving.server.versions import Make, Versions


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


class VisionRepository(ModelRepository):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's repository, with versions, and with changes that disturb nobody."""

    def __init__(self, root: Path, name: str, make: Make, metrics: Metrics) -> None:
        """Serve what lies under `root`; `name` is a single model directory's; `make` makes a version of its folder."""
        super().__init__()
        self._root = root
        self._name = name
        self._versions = Versions(make, metrics)
        self._owners: dict[str, Owner] = {}
        self._first: WeakSet[ServedVersion] = WeakSet()
        self._is_stopping = False

    def find(self, name: str) -> ServedModel:
        """Return a model, ready or not.

        Raises:
            ModelNotFound: there is none of that name.
        """
        model: ServedModel | None = self.get_model(name)
        if model is None:
            raise not_found(name, self.models)
        return model

    def all(self) -> list[ServedModel]:
        """Return all models by their names."""
        return [model for _, model in sorted(self.models.items())]

    async def register(self) -> None:
        """Have every model of the disk, none of them open yet."""
        for name, folders in (await self._layout()).items():
            model = ServedModel(name, map(self._versions.make, folders))
            self._first.update(model.versions)
            self.update(model)
            self._versions.show(name, model)

    @property
    def starting(self) -> list[ServedVersion]:
        """The versions of the server's start of which it is not known yet what becomes of them."""
        served = (each for model in self.all() for each in model.versions)
        return [each for each in served if each in self._first and not each.settled]

    def open(self) -> list[Answer]:
        """Begin to open the models that were registered; an answer for each."""
        return [self._owner(model.name).start() for model in self.all()]

    async def load(self, name: str, timeout_s: float | None = None) -> None:
        """Serve a model as it lies on the disk now; what was served is, until then.

        Raises:
            ModelNotFound: the disk has none of that name.
            ModelLoadFailed: some or all of it cannot be opened; nothing that was served has gone.
            DeadlineExceeded: it takes longer than `timeout_s`; it goes on.
            ModelNotReady: another change came in between, or the server stops.
        """
        await self._ask(name, Action.LOAD, timeout_s)

    async def unload(self, name: str) -> None:
        """Serve a model no longer; what it was asked before is answered first.

        Raises:
            ModelNotFound: there is none of that name.
            ModelNotReady: the server stops.
        """
        await self._ask(name, Action.UNLOAD)

    async def index(self) -> list[Entry]:
        """Return every version that is here, on its way in or out, or on the disk and not loaded."""
        layout = await self._layout()
        served = [each for model in self.all() for each in (*model.versions, *model.coming)]
        versions = dict.fromkeys((*served, *self._versions.leaving))
        entries = [Entry(each.name, each.version, each.state, each.reason) for each in versions]
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
        await asyncio.gather(*(owner.stop() for owner in self._owners.values()))

    async def close(self) -> None:
        """Close all versions; nobody asks any more."""
        await self.end_changes()
        for model in self.all():
            self._versions.retire(model.versions)
        await self._versions.close()

    async def _layout(self) -> RepositoryLayout:
        return await asyncio.to_thread(read_layout, self._root, self._name)

    async def _folders(self, name: str) -> tuple[VersionFolder, ...]:
        layout = await self._layout()
        if name not in layout:
            raise not_found(name, layout, f"in {self._root}: it")
        return layout[name]

    def _owner(self, name: str) -> Owner:
        self._owners = {known: owner for known, owner in self._owners.items() if not owner.has_ended}
        if name not in self._owners:
            self._owners[name] = Owner(name, self.models, self._folders, self._versions)
        return self._owners[name]

    async def _ask(self, name: str, action: Action, timeout_s: float | None = None) -> None:
        """Hand a command to the model's owner, and wait for the answer; it is obeyed whether somebody waits or not."""
        if self._is_stopping:
            raise ModelNotReady(STOPPING)
        answer = self._owner(name).ask(action)
        done, _ = await asyncio.wait([answer], timeout=timeout_s)
        if not done:
            raise DeadlineExceeded(
                f"model {name!r:.80} is still being loaded, which goes on; /v2/repository/index tells when it is ready"
            )
        error = answer.result()
        if error is not None:
            raise error.with_traceback(None)  # of another one who waited
