"""What a server serves: models by their names, each with versions that have a life of their own.

::

    LOADING ──▶ READY ──▶ UNLOADING        the states, as Triton's repository index names them
       └──────▶ UNAVAILABLE                with the reason

A door borrows a version for the length of a request: a version that is unloaded closes when the last one is given back.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, NoReturn, Self, TypeVar

from typing_extensions import override

from serving.call import Call
from serving.contract.repository import VersionFolder
from serving.errors import DeviceLost, ModelLoadFailed, ModelNotReady, ServingError, VersionNotFound
from serving.sdk import InferenceModel
from serving.v2 import InferRequest, InferResponse, ModelMetadata

NAMES_TOLD: Final = 10
"""How many names of models an error lists."""


class State(StrEnum):
    """Where a version is in its life."""

    LOADING = "LOADING"
    READY = "READY"
    UNAVAILABLE = "UNAVAILABLE"
    UNLOADING = "UNLOADING"


class ServedVersion(ABC):
    """One version of a model. The repository opens and closes it and keeps its `state`; the doors ask it.

    `version` is empty until the contract, which says it, was read.
    """

    def __init__(self, folder: VersionFolder) -> None:
        self.folder = folder
        self.version = folder.version or ""
        self.state = State.LOADING
        self.failure: ModelLoadFailed | None = None
        self.lost: DeviceLost | None = None
        """Set once its device failed for as long as this process lives."""
        self._borrowed = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.name

    @property
    def task(self) -> str:
        """The task of the contract, or nothing while it is not known."""
        return ""

    @property
    def settled(self) -> bool:
        """Whether it is known what becomes of it; the server is not ready before."""
        return self.state is not State.LOADING

    @abstractmethod
    async def open(self, *, patient: bool = True) -> None:
        """Load and warm up, off the event loop; the version can be asked when this returns.

        Where something outside of this process refuses the version, a `patient` one waits until it does no more.

        Raises:
            ModelLoadFailed: it cannot be served until somebody mends its folder.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give back what `open` took, if it came that far; no request is under way any more."""

    @abstractmethod
    def metadata(self) -> ModelMetadata:
        """Return what this version takes and gives; only asked when it is ready."""

    @abstractmethod
    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Answer a V2 request."""

    @abstractmethod
    async def predict(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """Answer a V1 request: the JSON of `:predict`, to the JSON of its answer."""

    async def check_dependencies(self) -> None:  # noqa: B027  # most need nothing
        """Raise an `Unavailable` where something that it needs outside of this process is not there."""

    def check(self) -> None:
        """Raise the reason why this version cannot be asked now, if there is one.

        Raises:
            DeviceLost, ModelLoadFailed, ModelNotReady: as their names say.
        """
        if self.lost is not None:
            raise self.lost.with_traceback(None)
        if self.failure is not None:
            raise self.failure.with_traceback(None)  # of the last time: each raise would add to it
        if self.state is State.LOADING:
            raise ModelNotReady(f"model {self.name!r} is loading", retry_after_s=1)
        if self.state is not State.READY:
            raise ModelNotReady(f"version {self.version!r} of model {self.name!r} is being unloaded")

    @property
    def reason(self) -> str:
        """Why it cannot be asked now; empty when it can."""
        try:
            self.check()
        except ServingError as error:
            return str(error)
        return ""

    def borrowed(self) -> AbstractContextManager[Self]:
        """Keep it open for the length of the block."""
        return _Loan(self)

    def lend(self) -> None:
        """Keep it open until `take_back`; `borrowed` does both."""
        self._borrowed += 1
        self._idle.clear()

    def take_back(self) -> None:
        """End what `lend` began."""
        self._borrowed -= 1
        if not self._borrowed:
            self._idle.set()

    async def until_idle(self) -> None:
        """Wait until nobody has it borrowed, or it is abandoned."""
        await self._idle.wait()

    def abandon(self) -> None:
        """Let nobody wait any longer for those who have it borrowed."""
        self._idle.set()


V = TypeVar("V", bound=ServedVersion)


class _Loan(AbstractContextManager[V]):
    """The block for which a version is borrowed. A generator would cost a busy event loop more."""

    __slots__ = ("_version",)

    def __init__(self, version: V) -> None:
        self._version = version

    @override
    def __enter__(self) -> V:
        self._version.lend()
        return self._version

    @override
    def __exit__(self, *_: object) -> None:
        self._version.take_back()


class ServedModel(InferenceModel):  # type: ignore[misc]  # the SDK is untyped
    """A model of the SDK's repository: its versions, the largest first, and those that are opened beside them."""

    def __init__(self, name: str, versions: Iterable[ServedVersion]) -> None:
        super().__init__(name)
        self.versions: tuple[ServedVersion, ...] = ()
        self.coming: tuple[ServedVersion, ...] = ()
        self.serve(versions)

    def serve(self, versions: Iterable[ServedVersion]) -> None:
        """Have these versions, at least one, from now on."""
        self.versions = tuple(sorted(versions, key=_rank, reverse=True))

    @property
    def ready_versions(self) -> tuple[str, ...]:
        """The versions that can be asked, in ascending order."""
        return tuple(each.version for each in reversed(self.versions) if each.state is State.READY)

    @property
    def latest(self) -> ServedVersion:
        """The version that is asked where none is named: the largest that is ready, or about to be.

        One that failed is passed over while there is another; one that is still loading is not, so that a server that
        starts does not answer from an older version first.
        """
        return next((each for each in self.versions if not each.settled or each.state is State.READY), self.versions[0])

    def find(self, version: str | None) -> ServedVersion:
        """Return a version, ready or not; None stands for the latest.

        Raises:
            VersionNotFound: the model has none of that name.
        """
        if version is None:
            return self.latest
        for each in (*self.versions, *self.coming):
            # Where the version is not known yet, or never will be, its state is all that can be said.
            if each.version in (version, ""):
                return each
        served = ", ".join(map(repr, self.ready_versions)) or "none now"
        raise VersionNotFound(f"model {self.name!r} has no version {version!r:.80}: it serves {served}")

    def servable(self, version: str | None) -> ServedVersion:
        """Return a version that can be asked now.

        Raises:
            VersionNotFound, ModelNotReady, ModelLoadFailed: as their names say.
        """
        found = self.find(version)
        found.check()
        return found

    def metadata(self, version: str | None) -> ModelMetadata:
        """Return what a version takes and gives, and all versions that can be asked."""
        return replace(self.servable(version).metadata(), versions=self.ready_versions)

    async def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse the SDK's own way to a model, which knows no deadline: the doors ask its versions."""
        raise NotImplementedError("the doors call infer and predict")


def told(names: Iterable[str]) -> str:
    """Return names for an error's sentence, some of them where there are many."""
    known = sorted(names)
    listed = ", ".join(map(repr, known[:NAMES_TOLD]))
    return (f"{listed} and {len(known) - NAMES_TOLD} more" if len(known) > NAMES_TOLD else listed) or "none"


def _rank(version: ServedVersion) -> int:
    """Order versions by their numbers; one of a contract's own words is alone, but for the moment it is replaced."""
    return int(version.version) if version.version.isascii() and version.version.isdigit() else 0
