"""What a task is: from the decoder's outputs to answers, and from answers to JSON and V2 tensors."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

from serving.contract import ModelDirectory
from serving.decoders import Array
from serving.errors import PredictorFault
from serving.v2 import Tensor, TensorSpec
from transformer.drawing import Drawing
from transformer.pictures import Prepared
from transformer.tasks.options import Options

LARGEST_SCORE: Final = 1.01
"""Scores are shares, 0..1; those of a quantized model may pass 1 by a rounding."""


class Answer(ABC):
    """What a task says of one picture."""

    @abstractmethod
    def to_json(self) -> Any:
        """Return the answer as JSON's values."""

    def drawing(self) -> Drawing | None:
        """Return what is drawn of the answer on its picture; None of a task that has nothing to show."""
        return None


A = TypeVar("A", bound=Answer)
O = TypeVar("O", bound=Options)  # noqa: E741  # not the letter's first use as a type


class Task(ABC, Generic[A, O]):
    """A task bound to one contract. It is called from many threads at once: it holds no state."""

    options_type: ClassVar[type[Options]]
    """What a request may change."""
    outputs: ClassVar[tuple[TensorSpec, ...]]
    """The V2 outputs of its answers."""
    extra_outputs: ClassVar[tuple[TensorSpec, ...]] = ()
    """V2 outputs that only a request that names them gets, since they are dear to make or to send."""
    is_quick: ClassVar[bool] = True
    """Whether an answer is made in well under a millisecond, so that a thread of its own would cost more."""

    def __init__(self, directory: ModelDirectory) -> None:
        self.rules: Any = directory.contract.output
        self.labels = directory.labels

    @classmethod
    def of(cls, directory: ModelDirectory) -> Task[Any, Any]:
        """Return the task for a contract: this one, where a task has not another for some of its decoders."""
        return cls(directory)

    def specs(self, predictor: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:  # noqa: ARG002  # for those that ask
        """Return the V2 outputs of its answers before a predictor with those outputs."""
        return self.outputs

    @abstractmethod
    def decode(self, tensors: Mapping[str, Array], picture: Prepared, options: O) -> A:
        """Turn the decoder's outputs for one picture, without their first axis, into its answer.

        Raises:
            PredictorFault: they make no sense, such as a class that there is no label for.
        """

    @abstractmethod
    def to_tensors(self, answers: Sequence[A], names: Collection[str]) -> tuple[Tensor, ...]:
        """Return the V2 outputs called `names`, one row for each picture."""

    def check_found(self, scores: Sequence[float], classes: Sequence[int]) -> None:
        """Hold against what can be the scores and classes of what would be answered, one of each for each.

        Raises:
            PredictorFault: a class has no label, a score is over 1, or the best does not come first.
        """
        count = len(self.labels) or math.inf
        wrong = next((each for each in classes if not 0 <= each < count), None)
        if wrong is not None:
            known = f"{count} labels, for the classes 0 to {count - 1}" if self.labels else "classes from 0 on"
            raise PredictorFault(f"the predictor found class {wrong}; the contract has {known}")
        if max(scores, default=0) > LARGEST_SCORE:
            raise PredictorFault(
                f"the predictor gave a score of {max(scores):g}; scores are from 0 to 1: its numbers are not those "
                f"that output.decoder {self.rules.decoder!r} reads by the contract's rules"
            )
        if any(map(operator.lt, scores, scores[1:])):
            raise PredictorFault("the predictor's scores do not come in order, the best first")

    def label(self, class_id: int) -> str:
        """Return the label of a class; its number where it has none."""
        return (self.labels[class_id] if class_id < len(self.labels) else "") or str(class_id)
