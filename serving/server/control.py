"""Loading and unloading over the network: the same for both doors, and refused unless the settings allow it."""

from __future__ import annotations

from serving.call import Call
from serving.errors import RepositoryClosed
from serving.server.repository import VisionRepository
from serving.settings import ServerSettings

CLOSED = (
    "models are not loaded or unloaded over the network: apply the change to the InferenceService, or start the server "
    "with MODEL_CONTROL=true"
)


class ModelControl:
    """What a caller may do to the repository; every method raises `RepositoryClosed` where that is nothing."""

    def __init__(self, repository: VisionRepository, settings: ServerSettings) -> None:
        self._repository = repository
        self._allowed = settings.model_control
        self._timeout_s = settings.load_timeout_seconds

    async def load(self, name: str, call: Call) -> None:
        """Serve a model as it lies on the disk now, within the settings' time, or the caller's where that is less.

        Raises:
            ServingError: of the repository.
        """
        self.check()
        await self._repository.load(name, call.remaining_within(self._timeout_s))

    async def unload(self, name: str) -> None:
        """Serve a model no longer.

        Raises:
            ModelNotFound: there is none of that name.
        """
        self.check()
        await self._repository.unload(name)

    def check(self) -> None:
        """Raise `RepositoryClosed` unless models may be changed."""
        if not self._allowed:
            raise RepositoryClosed(CLOSED)
