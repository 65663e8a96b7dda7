"""What the transformer asks of a predictor."""

from __future__ import annotations

from typing import Protocol

from serving.call import Call
from serving.v2 import InferRequest, InferResponse, ModelMetadata


class PredictorClient(Protocol):
    """A V2 server that can be asked.

    Every method raises `PredictorUnavailable` where nobody answers (after the retries), `DeadlineExceeded` where the
    answer comes too late, `Overloaded` where the predictor's queue is full, and `PredictorFault` for a refusal or
    nonsense.
    """

    async def metadata(self, model: str, call: Call) -> ModelMetadata:
        """Return what the model takes and gives."""

    async def check_ready(self, model: str, call: Call) -> None:
        """Raise `PredictorUnavailable` unless the model is ready."""

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the model."""

    async def close(self) -> None:
        """Close the connections."""
