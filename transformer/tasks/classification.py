"""Classification: the best classes of a picture, with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from serving.errors import PredictorFault
from serving.v2 import Tensor, TensorSpec
from serving.v2.message import ANY, InferResponse
from transformer.pictures import Geometry
from transformer.tasks.base import Answer, Options, Task

NO_CLASS: Final = -1
"""The class id that fills a V2 row where fewer classes than `top_k` reach the threshold."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: its number, its name and its probability."""

    class_id: int
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class ClassAnswer(Answer):
    """The classes of one picture, best first."""

    classes: tuple[ClassScore, ...]

    def to_json(self) -> list[dict[str, object]]:
        """Return a list of `{"label", "class_id", "score"}`."""
        return [{"label": c.label, "class_id": c.class_id, "score": c.score} for c in self.classes]


class Classification(Task[ClassAnswer]):
    """`logits` go through a softmax; `probabilities` are taken as they are."""

    decoders: ClassVar[tuple[str, ...]] = ("logits", "probabilities")
    outputs: ClassVar[tuple[TensorSpec, ...]] = (
        TensorSpec("labels", "BYTES", (ANY, ANY)),
        TensorSpec("class_ids", "INT64", (ANY, ANY)),
        TensorSpec("scores", "FP32", (ANY, ANY)),
    )

    def decode(self, response: InferResponse, geometries: Sequence[Geometry], options: Options) -> list[ClassAnswer]:
        """Take the best classes of each row of `[n, classes]` (or `[n, classes, 1, 1]`)."""
        rows = len(geometries)
        with np.errstate(over="ignore"):
            output = self.output_of(response, rows).reshape(rows, -1).astype(np.float32, copy=False)
        if output.size == 0 or not np.isfinite(output).all():
            raise PredictorFault("the predictor gave no classes, or numbers over the range of float32")
        if self.labels and output.shape[1] != len(self.labels):
            raise PredictorFault(
                f"the predictor gave {output.shape[1]} classes; the contract has {len(self.labels)} labels"
            )
        scores = softmax(output) if self.contract.output.decoder == "logits" else output
        return [self._answer(row, best_of(row, options.top_k), options.confidence_threshold) for row in scores]

    def to_tensors(self, answers: Sequence[ClassAnswer]) -> tuple[Tensor, ...]:
        """Return `labels`, `class_ids` and `scores`, each `[n, k]`; a row with fewer classes ends in `NO_CLASS`."""
        width = max((len(answer.classes) for answer in answers), default=0)
        shape = (len(answers), max(width, 1))
        labels = np.full(shape, "", dtype=np.object_)
        class_ids = np.full(shape, NO_CLASS, dtype=np.int64)
        scores = np.zeros(shape, dtype=np.float32)
        for row, answer in enumerate(answers):
            for column, found in enumerate(answer.classes):
                labels[row, column] = found.label
                class_ids[row, column] = found.class_id
                scores[row, column] = found.score
        return (Tensor("labels", labels), Tensor("class_ids", class_ids), Tensor("scores", scores))

    def _answer(self, scores: npt.NDArray[np.float32], best: npt.NDArray[np.intp], threshold: float) -> ClassAnswer:
        return ClassAnswer(
            tuple(
                ClassScore(int(class_id), self._label(int(class_id)), float(scores[class_id]))
                for class_id in best
                if scores[class_id] >= threshold
            )
        )

    def _label(self, class_id: int) -> str:
        return self.labels[class_id] if self.labels else str(class_id)


def best_of(scores: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """Return the indices of the `count` largest of `scores` `[classes]`, best first.

    Of equal scores the lower index comes first, also where only some of them fit, so that answers do not flicker.
    """
    if count < len(scores):
        least = np.partition(scores, -count)[-count]
        candidates = np.flatnonzero(scores >= least)
    else:
        candidates = np.arange(len(scores))
    ordered: npt.NDArray[np.intp] = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return ordered


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the probabilities of each row of `[n, classes]`; the largest logit is taken off first, so that none
    overflows.
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
