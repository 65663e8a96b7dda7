"""What a task is: from the model's output to answers, and from answers to JSON and V2 tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from serving.contract import Contract
from serving.errors import ContractInvalid, PredictorFault, RequestInvalid
from serving.v2 import Parameters, Tensor, TensorSpec
from serving.v2.message import InferResponse
from serving.v2.tensor import Array
from transformer.pictures import Geometry

MAX_TOP_K = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """What a request may change of the contract's output rules."""

    top_k: int
    confidence_threshold: float

    def overridden(self, parameters: Parameters) -> Options:
        """Return the options with a request's own.

        Raises:
            RequestInvalid: one is of another type, or out of its range.
        """
        top_k = parameters.get("top_k", self.top_k)
        if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_TOP_K:
            raise RequestInvalid(f"top_k is {top_k!r:.40}: a whole number from 1 to {MAX_TOP_K} is expected")
        threshold = parameters.get("confidence_threshold", self.confidence_threshold)
        if isinstance(threshold, str):  # gRPC's parameters have no floating point
            threshold = _number(threshold)
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
            raise RequestInvalid(f"confidence_threshold is {threshold!r:.40}: a number from 0 to 1 is expected")
        return Options(top_k, float(threshold))


class Answer(ABC):
    """What a task says of one picture."""

    @abstractmethod
    def to_json(self) -> Any:
        """Return the answer as JSON's values."""


A = TypeVar("A", bound=Answer)


class Task(ABC, Generic[A]):
    """A task bound to one contract. It is called from one thread at a time, or from many: it holds no state."""

    decoders: ClassVar[tuple[str, ...]]
    """The names that `output.decoder` may have."""
    outputs: ClassVar[tuple[TensorSpec, ...]]
    """The V2 outputs of its answers."""

    def __init__(self, contract: Contract, labels: Sequence[str]) -> None:
        if contract.output.decoder not in self.decoders:
            known = ", ".join(self.decoders)
            raise ContractInvalid(
                f"output.decoder is {contract.output.decoder!r}: for {contract.task}, one of {known} is expected"
            )
        self.contract = contract
        self.labels = labels

    @abstractmethod
    def decode(self, response: InferResponse, geometries: Sequence[Geometry], options: Options) -> list[A]:
        """Turn the predictor's tensors into one answer for each picture.

        Raises:
            PredictorFault: the tensors are not those of this contract.
        """

    @abstractmethod
    def to_tensors(self, answers: Sequence[A]) -> tuple[Tensor, ...]:
        """Return the answers as the task's V2 outputs, one row for each picture."""

    def output_of(self, response: InferResponse, rows: int) -> Array:
        """Return the output that the contract names (or the only one), with `rows` rows of finite numbers.

        Raises:
            PredictorFault: it is missing, has another number of rows, or holds NaN or infinity.
        """
        name = self.contract.output.tensor or (response.outputs[0].name if response.outputs else "")
        try:
            array = response.output(name).array
        except KeyError:
            there = ", ".join(repr(tensor.name) for tensor in response.outputs) or "none"
            raise PredictorFault(f"the predictor gave no output {name!r}; it gave {there}") from None
        if array.ndim == 0 or array.shape[0] != rows:
            raise PredictorFault(
                f"the predictor gave output {name!r} with the shape {list(array.shape)} for {rows} pictures"
            )
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise PredictorFault(f"the predictor's output {name!r} holds values that are not finite numbers")
        return array


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
