"""What the transformer asks of a predictor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

from serving.call import Call
from serving.errors import DeadlineExceeded, PredictorUnavailable
from serving.v2 import InferRequest, InferResponse, ModelMetadata

READY_TIMEOUT_S: Final = 0.8
"""Seconds that the predictor may take to say whether it is ready: shorter than a Kubernetes probe waits by default."""


class PredictorClient(Protocol):
    """A V2 server that can be asked.

    Every method raises `PredictorUnavailable` where nobody answers (after the retries), `DeadlineExceeded` where the
    answer comes too late, `Overloaded` where the predictor's queue is full, `DeviceOutOfMemory` where its device has no
    room, and `PredictorFault` for a refusal or nonsense. A `version` of None is the one that the predictor takes by
    default. Where the predictor says itself why it does not serve a model, its error's code stands in the details as
    `predictor_code` (MODEL_NOT_FOUND for a foreign server's 404).
    """

    async def metadata(self, model: str, call: Call, version: str | None = None) -> ModelMetadata:
        """Return what the model takes and gives."""

    async def check_ready(self, model: str, call: Call, version: str | None = None) -> None:
        """Raise `PredictorUnavailable` unless the model is ready."""

    async def infer(self, request: InferRequest, call: Call) -> InferResponse:
        """Run the model."""

    async def close(self) -> None:
        """Close the connections."""


@contextmanager
def ready_in_time(call: Call) -> Iterator[Call]:
    """Give the call with less time, for a question for readiness; a predictor that does not answer it is not ready.

    Raises:
        PredictorUnavailable: where the block raises `DeadlineExceeded`.
    """
    question = replace(call)
    question.limit(READY_TIMEOUT_S)
    try:
        yield question
    except DeadlineExceeded as error:
        raise PredictorUnavailable(
            f"the predictor did not say in {READY_TIMEOUT_S:g} s whether it is ready", retry_after_s=1
        ) from error
