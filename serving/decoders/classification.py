"""Classifiers: one number for each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import Field, PositiveInt
from typing_extensions import override

from serving.decoders.base import TENSOR, OneTensor, OneTensorRules, OutputRules, Reduced
from serving.decoders.ops import Ops, Shape, V

TOP_SCORES: Final = "top_scores"
"""FP32 [n, K], the largest first."""
TOP_CLASSES: Final = "top_classes"
"""INT32 [n, K], the classes of `top_scores`."""

MAX_TOP_K: Final = 1000
"""The most classes of one answer, and K of a graph with more."""

_FORMS: Final = (("n", "classes"), ("n", "classes", 1, 1), ("n", 1, 1, "classes"), ("n", 1, "classes"))


class ClassificationRules(OneTensorRules):
    """`logits` go through a softmax; `probabilities` are taken as they are; `sigmoid` is for several classes at once,
    each logit by itself.
    """

    adjustable: ClassVar[frozenset[str]] = frozenset({"top_k", "confidence_threshold"})

    tensor: str | None = None
    """The name of the graph's output, [n, classes] or [n, classes, 1, 1]. Needed only where the graph has several."""
    top_k: PositiveInt = Field(default=5, le=MAX_TOP_K)
    """How many classes an answer holds, best first."""
    confidence_threshold: float = Field(default=0.0, ge=0.0, le=1.0)
    """Classes with a smaller score are left out of the answer."""


class _Classes(OneTensor[ClassificationRules]):
    """What the three have in common."""

    rules_type: ClassVar[type[OutputRules]] = ClassificationRules
    reduced: ClassVar[Mapping[str, Reduced]] = {
        TOP_SCORES: Reduced("FP32", ("n", "K")),
        TOP_CLASSES: Reduced("INT32", ("n", "K")),
    }

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        letters = self.expect(TENSOR, shapes[TENSOR], *_FORMS)
        self.check_columns(letters["classes"], 0)

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        scores = self.scores(ops, ops.reshape(ops.cast(outputs[TENSOR], "float32"), 0, -1))
        best, places = ops.top(scores, MAX_TOP_K)
        return {TOP_SCORES: best, TOP_CLASSES: ops.cast(places, "int32")}

    def scores(self, ops: Ops[V], numbers: V) -> V:
        """Turn the model's numbers `[n, classes]` into scores."""
        raise NotImplementedError


class Logits(_Classes):
    """A softmax over the classes."""

    @override
    def scores(self, ops: Ops[V], numbers: V) -> V:
        return ops.softmax(numbers, 1)


class Probabilities(_Classes):
    """The graph ends in a softmax, or a sigmoid, of its own."""

    @override
    def scores(self, ops: Ops[V], numbers: V) -> V:
        return numbers


class Sigmoid(_Classes):
    """Independent classes, of which several can be true."""

    @override
    def scores(self, ops: Ops[V], numbers: V) -> V:
        return ops.sigmoid(numbers)
