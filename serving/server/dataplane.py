"""The SDK's data plane, with the answers to "is it there?" and "is it ready?" made true."""

from __future__ import annotations

from serving.errors import ModelNotFound, ModelNotReady, ServingError
from serving.sdk import DataPlane, ModelRepository
from serving.server.model import ServedModel
from serving.version import __version__

SERVER_NAME = "kserve-vision"
EXTENSIONS = ("binary_tensor_data",)


class VisionDataPlane(DataPlane):  # type: ignore[misc]  # the SDK is untyped
    """Finds models for the doors.

    The SDK's own answers ready whatever its models do, and on gRPC loads a model that is not healthy, on the event
    loop, in the middle of a request.
    """

    def __init__(self, repository: ModelRepository) -> None:
        super().__init__(repository)
        self.draining = False

    def metadata(self) -> dict[str, object]:
        """Return the server's name, version and extensions."""
        return {"name": SERVER_NAME, "version": __version__, "extensions": list(EXTENSIONS)}

    def names(self) -> list[str]:
        """Return the names of all models, ready or not."""
        return sorted(self.model_registry.get_models())

    def find(self, name: str) -> ServedModel:
        """Return a model, ready or not.

        Raises:
            ModelNotFound: this server has none of that name.
        """
        model = self.model_registry.get_model(name)
        if model is None:
            raise ModelNotFound(
                f"there is no model {name!r:.80} here: this server has {', '.join(map(repr, self.names()))}"
            )
        assert isinstance(model, ServedModel)  # noqa: S101  # the server registers no others
        return model

    def servable(self, name: str, version: str | None) -> ServedModel:
        """Return a model that can be asked now.

        Raises:
            ModelNotFound, VersionNotFound, ModelNotReady, ModelLoadFailed: as their names say.
        """
        model = self.find(name)
        model.check_version(version)
        return model

    async def check_model_ready(self, name: str, version: str | None) -> None:
        """Raise the reason why a model should get no traffic, if there is one."""
        model = self.servable(name, version)
        if self.draining:
            raise ModelNotReady("the server is shutting down")
        await model.check_dependencies()

    async def check_ready(self) -> None:
        """Raise the reason why this server should get no traffic, if there is one."""
        for name in self.names():
            await self.check_model_ready(name, None)

    async def ready(self) -> bool:
        """Whether every model is ready and the server is not draining."""
        try:
            await self.check_ready()
        except ServingError:
            return False
        return True
