"""Embedding: a picture as a vector, to be compared with others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from serving.decoders import Array
from serving.decoders.embedding import EMBEDDING
from serving.v2 import Tensor, TensorSpec
from serving.v2.message import ANY
from transformer.pictures import Prepared
from transformer.tasks.base import Answer, Task
from transformer.tasks.options import Options


class EmbeddingOptions(Options):
    """There is nothing to change."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingAnswer(Answer):
    """The vector of one picture."""

    vector: Array
    """FP32 [D]."""

    @override
    def to_json(self) -> dict[str, object]:
        """Return `{"embedding", "dimensions"}`."""
        return {"embedding": np.ascontiguousarray(self.vector), "dimensions": len(self.vector)}


class Embedding(Task[EmbeddingAnswer, EmbeddingOptions]):
    """The decoder has done all of it."""

    options_type: ClassVar[type[Options]] = EmbeddingOptions
    outputs: ClassVar[tuple[TensorSpec, ...]] = (TensorSpec(EMBEDDING, "FP32", (ANY, ANY)),)

    @override
    def decode(self, tensors: Mapping[str, Array], picture: Prepared, options: EmbeddingOptions) -> EmbeddingAnswer:
        return EmbeddingAnswer(tensors[EMBEDDING])

    @override
    def to_tensors(self, answers: Sequence[EmbeddingAnswer], names: Collection[str]) -> tuple[Tensor, ...]:
        return (Tensor(EMBEDDING, np.stack([answer.vector for answer in answers])),) if EMBEDDING in names else ()
