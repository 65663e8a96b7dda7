"""What a server serves: a model with a life (loading, ready, failed) and the two calls that the doors make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn

from serving.call import Call
from serving.errors import ModelLoadFailed, ModelNotReady, VersionNotFound
from serving.sdk import InferenceModel
from serving.v2 import InferRequest, InferResponse, ModelMetadata


class ServedModel(InferenceModel):  # type: ignore[misc]  # the SDK is untyped
    """A model of the SDK's repository that loads after the ports are open, and says why when it could not."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.failure: ModelLoadFailed | None = None

    @abstractmethod
    async def open(self) -> None:
        """Load and warm up, off the event loop; the model is ready when this returns.

        Raises:
            ModelLoadFailed: it cannot be served until somebody mends its directory.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give back what `open` took; no request is under way any more."""

    @abstractmethod
    def metadata(self) -> ModelMetadata:
        """Return what the model takes and gives; only asked of a model that is ready."""

    @abstractmethod
    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Answer a V2 request."""

    @abstractmethod
    async def predict(self, payload: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """Answer a V1 request: the JSON of `:predict`, to the JSON of its answer."""

    async def check_dependencies(self) -> None:
        """Raise an `Unavailable` where something that the model needs outside of this process is not there."""

    def check_version(self, version: str | None) -> None:
        """Raise an error unless the model serves `version` now; None stands for the version that it serves.

        Raises:
            ModelLoadFailed, ModelNotReady, VersionNotFound: as their names say.
        """
        if self.failure is not None:
            raise self.failure.with_traceback(None)  # of the last time: each raise would add to it
        if not self.ready:
            raise ModelNotReady(f"model {self.name!r} is loading", retry_after_s=1)
        versions = self.metadata().versions
        if version is not None and version not in versions:
            raise VersionNotFound(
                f"model {self.name!r} has no version {version!r:.80}: it serves {', '.join(map(repr, versions))}"
            )

    async def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse the SDK's own way to a model, which knows no deadline: the doors call `infer` and `predict`."""
        raise NotImplementedError("the doors call infer and predict")
