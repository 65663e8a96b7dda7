"""Classification: the best classes of a picture, with their scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import Field
from typing_extensions import override

from serving.decoders import Array
from serving.decoders.classification import MAX_TOP_K, TOP_CLASSES, TOP_SCORES
from serving.errors import PredictorFault
from serving.v2 import Tensor, TensorSpec
from serving.v2.message import ANY
from transformer.drawing import Drawing, Entry
from transformer.pictures import Prepared
from transformer.tasks.base import Answer, Task
from transformer.tasks.options import Options
from transformer.tasks.rows import rows_of

NO_CLASS: Final = -1
"""The class id that fills a V2 row where fewer classes than `top_k` reach the threshold."""


class ClassificationOptions(Options):
    """What a request may change of a classifier's answer."""

    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K)] | None = None
    """How many classes, best first."""
    confidence_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """Classes with a smaller score are left out."""


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

    @override
    def to_json(self) -> list[dict[str, object]]:
        """Return a list of `{"label", "class_id", "score"}`."""
        return [{"label": c.label, "class_id": c.class_id, "score": c.score} for c in self.classes]

    @override
    def drawing(self) -> Drawing:
        """Return a list of the classes, or a line that says that there are none."""
        found = tuple(Entry(c.label or str(c.class_id), f"{c.score:.4f}", share=c.score) for c in self.classes)
        return Drawing(entries=found or (Entry("no class reaches the threshold"),))


class Classification(Task[ClassAnswer, ClassificationOptions]):
    """The best classes."""

    options_type: ClassVar[type[Options]] = ClassificationOptions
    outputs: ClassVar[tuple[TensorSpec, ...]] = (
        TensorSpec("labels", "BYTES", (ANY, ANY)),
        TensorSpec("class_ids", "INT64", (ANY, ANY)),
        TensorSpec("scores", "FP32", (ANY, ANY)),
    )

    @override
    def decode(self, tensors: Mapping[str, Array], picture: Prepared, options: ClassificationOptions) -> ClassAnswer:
        top_k = self.rules.top_k if options.top_k is None else options.top_k
        threshold = options.confidence_threshold
        if threshold is None:
            threshold = self.rules.confidence_threshold
        scores: list[float] = tensors[TOP_SCORES][:top_k].tolist()
        classes: list[int] = tensors[TOP_CLASSES][:top_k].tolist()
        if not scores:
            raise PredictorFault("the predictor gave no classes")
        self.check_found(scores, classes)
        return ClassAnswer(
            tuple(
                ClassScore(class_id, self.label(class_id), score)
                for class_id, score in zip(classes, scores, strict=True)
                if score >= threshold
            )
        )

    @override
    def to_tensors(self, answers: Sequence[ClassAnswer], names: Collection[str]) -> tuple[Tensor, ...]:
        return tuple(
            rows_of(
                [answer.classes for answer in answers],
                (spec.name for spec in self.outputs if spec.name in names),
                least=1,
            )
        )
