"""The SDK's data plane, with the answers to "is it there?" and "is it ready?" made true."""

from __future__ import annotations

from contextlib import AbstractContextManager

from serving.call import Call
from serving.errors import ModelNotReady, ServingError
from serving.sdk import DataPlane
from serving.server.model import NAMES_TOLD, ServedModel, ServedVersion, State
from serving.server.repository import VisionRepository
from serving.version import __version__

SERVER_NAME = "kserve-vision"
EXTENSIONS = ("binary_tensor_data", "model_repository")


class VisionDataPlane(DataPlane):  # type: ignore[misc]  # the SDK is untyped
    """Finds models for the doors.

    The SDK's own answers ready whatever its models do, and on gRPC loads a model that is not healthy, on the event
    loop, in the middle of a request.
    """

    def __init__(self, repository: VisionRepository) -> None:
        super().__init__(repository)
        self.repository = repository
        self.draining = False

    def metadata(self) -> dict[str, object]:
        """Return the server's name, version and extensions."""
        return {"name": SERVER_NAME, "version": __version__, "extensions": list(EXTENSIONS)}

    def names(self) -> list[str]:
        """Return the names of all models, ready or not."""
        return [model.name for model in self.repository.all()]

    def find(self, name: str) -> ServedModel:
        """Return a model, ready or not.

        Raises:
            ModelNotFound: this server has none of that name.
        """
        return self.repository.find(name)

    def borrowed(self, call: Call, name: str, version: str | None) -> AbstractContextManager[ServedVersion]:
        """Give a version that can be asked now, and keep it open for the length of the block; None is the latest.

        Raises:
            ModelNotFound, VersionNotFound, ModelNotReady, ModelLoadFailed: as their names say.
        """
        call.model_name = name
        found = self.find(name).servable(version)
        call.model_version = found.version
        return found.borrowed()

    async def check_model_ready(self, name: str, version: str | None) -> None:
        """Raise the reason why a model should get no traffic, if there is one."""
        servable = self.find(name).servable(version)
        self._check_staying()
        await servable.check_dependencies()

    def check_live(self) -> None:
        """Raise the reason why only a new process can serve again, if there is one: a lost device.

        It is the whole process' fate: what went wrong in one model's run goes on in every other's on that device.
        """
        for model in self.repository.all():
            for each in (*model.versions, *model.coming):
                if each.lost is not None:
                    raise each.lost.with_traceback(None)

    async def check_ready(self) -> None:
        """Raise the reason why this server should get no traffic, if there is one.

        It should while one of its models can be asked, once it is known of all that it started with: a model that
        failed, or is loaded later, must not take the others' traffic away.
        """
        self._check_staying()
        self.check_live()
        for each in self.repository.starting:
            each.check()
        reasons: dict[str, ServingError] = {}
        for model in self.repository.all():
            try:
                await self.check_model_ready(model.name, None)
            except ServingError as error:
                reasons[model.name] = error
            else:
                return
        raise _none_ready(reasons)

    def check_hope(self) -> None:
        """Raise the reason why nothing that this process waits for makes it ready, if there is one.

        Raises:
            DeviceLost: its device is lost.
            ModelLoadFailed: none of its models can be loaded as it lies on the disk.
            ModelNotReady: there are none.
        """
        self.check_live()
        if self.repository.starting:
            return
        reasons: dict[str, ServingError] = {}
        for model in self.repository.all():
            for each in (*model.versions, *model.coming):
                if each.failure is None:
                    return
                reasons[model.name] = each.failure
        raise _none_ready(reasons)

    async def ready(self) -> bool:
        """Whether this server should get traffic."""
        try:
            await self.check_ready()
        except ServingError:
            return False
        return True

    def _check_staying(self) -> None:
        if self.draining:
            raise ModelNotReady("the server is shutting down")

    @property
    def loaded(self) -> bool:
        """Whether it is known of all models of the start what becomes of them, and one is ready at least."""
        versions = (each for model in self.repository.all() for each in model.versions)
        return not self.repository.starting and any(each.state is State.READY for each in versions)


def _none_ready(reasons: dict[str, ServingError]) -> ServingError:
    """Return why no model can be asked; a single one's own reason. What waiting can cure goes first."""
    if not reasons:
        return ModelNotReady("no model is loaded")
    first = next((reason for reason in reasons.values() if reason.retryable), next(iter(reasons.values())))
    if len(reasons) == 1:
        return first
    told = [f"{name!r}: {reason}" for name, reason in list(reasons.items())[:NAMES_TOLD]]
    return type(first)(f"none of {len(reasons)} models can be asked: {'; '.join(told)}")
