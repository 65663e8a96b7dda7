"""The transformer's client seam, straight to the predictor's model: no wire, and no copy.

A request's tensors are handed over where they lie, and its answer's come back as the engine gave them. What a caller is
told is what it would be told through a network: an error of the predictor's gets the meaning that it has for the
transformer's own caller, as the clients of `transformer.client` give it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from predictor.model import PredictorModel
from serving.call import Call
from serving.contract import ModelDirectory
from serving.errors import ServingError
from serving.server.model import State
from serving.v2 import InferRequest, InferResponse, ModelMetadata
from transformer.client.meaning import UNCHANGED, Refusal, meaning_of


class DirectClient:
    """Asks one version of a model in this process, whatever name and version a question is for."""

    def __init__(self, model: PredictorModel) -> None:
        self.model = model

    async def open(self) -> ModelDirectory:
        """Load the model, and return the directory that it was loaded from.

        Raises:
            ModelLoadFailed: with what to mend.
        """
        await self.model.open()
        self.model.state = State.READY
        return self.model.directory

    async def metadata(self, model: str, call: Call, version: str | None = None) -> ModelMetadata:  # noqa: ARG002  # the seam's signature
        """Return what the model takes and gives."""
        with _as_if_asked():
            self.model.check()
            return self.model.metadata()

    async def check_ready(self, model: str, call: Call, version: str | None = None) -> None:  # noqa: ARG002  # the seam's signature
        """Raise `PredictorUnavailable` unless the model is ready."""
        with _as_if_asked():
            self.model.check()
            await self.model.check_dependencies()

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the model."""
        with _as_if_asked():
            self.model.check()
            # The predictor notes its own rows and stages, which are not those of the whole request.
            return await self.model.infer(request, replace(call, stages={}))

    async def close(self) -> None:
        """Wait for runs that were begun, and let the model go."""
        self.model.state = State.UNLOADING
        await self.model.close()


@contextmanager
def _as_if_asked() -> Iterator[None]:
    try:
        yield
    except ServingError as error:
        if isinstance(error, UNCHANGED):
            raise
        refusal = Refusal.over_grpc(error.grpc_status, str(error), error.code)
        raise meaning_of(refusal, "the predictor") from error
