"""Embeddings: a picture as one vector."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Final

from typing_extensions import override

from serving.decoders.base import TENSOR, OneTensor, OneTensorRules, OutputRules, Reduced
from serving.decoders.ops import Ops, Shape, V
from serving.errors import ContractInvalid

EMBEDDING: Final = "embedding"
"""FP32 [n, D]."""

_TOKENS: Final = 3
"""The rank of an output with a vector for each token."""


class Pooling(StrEnum):
    """How the vectors of many tokens become one."""

    FIRST = "first"
    """that of the first token, the class token of a vision transformer"""
    MEAN = "mean"


class EmbeddingRules(OneTensorRules):
    """[n, D], [n, D, 1, 1], or, with `pooling`, [n, tokens, D]."""

    pooling: Pooling | None = None
    """How a vector is made of [n, tokens, D]: `first` takes the first token's (a class token), `mean` the mean."""
    normalize: bool = True
    """Whether vectors are brought to the length 1 (L2), so that their products are cosines."""


class Vector(OneTensor[EmbeddingRules]):
    """One vector, pooled and normalised as the rules say."""

    rules_type: ClassVar[type[OutputRules]] = EmbeddingRules
    reduced: ClassVar[Mapping[str, Reduced]] = {EMBEDDING: Reduced("FP32", ("n", "D"))}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        shape = shapes[TENSOR]
        if self.rules.pooling is not None:
            self.expect(TENSOR, shape, ("n", "tokens", "D"))
        elif len(shape) == _TOKENS and shape[1] != 1:
            raise ContractInvalid(
                "output.pooling is missing: the graph's output has a vector for each token, of which `first` takes the "
                "first and `mean` the mean"
            )
        else:
            self.expect(TENSOR, shape, ("n", "D"), ("n", "D", 1, 1), ("n", 1, 1, "D"), ("n", 1, "D"))

    @override
    def pays(self, shapes: Mapping[str, Shape]) -> bool:
        return len(shapes[TENSOR]) == _TOKENS

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        value = ops.cast(outputs[TENSOR], "float32")
        match self.rules.pooling:
            case Pooling.FIRST:
                value = ops.slice(value, 1, 0, 1)
            case Pooling.MEAN:
                value = ops.mean(value, 1)
        vector = ops.reshape(value, 0, -1)
        if self.rules.normalize:
            length = ops.reshape(ops.norm(vector, 1), -1, 1)
            # A vector of zeros stays one, as in PyTorch's `normalize`.
            vector = ops.divide(vector, ops.clip(length, 1e-12, float("inf")))
        return {EMBEDDING: vector}
