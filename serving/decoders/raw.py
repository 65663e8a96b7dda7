"""Raw: the model's outputs as they are, for those who read them themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from serving.decoders.base import Decoder, OutputRules, Reduced
from serving.decoders.ops import Ops, Shape, V


class RawRules(OutputRules):
    """Every output of the graph."""


class Tensors(Decoder[RawRules]):
    """Nothing is read, so nothing is reduced: the parts are the graph's outputs, under their own names."""

    rules_type: ClassVar[type[OutputRules]] = RawRules
    reduced: ClassVar[Mapping[str, Reduced]] = {}

    @override
    def tensors(self) -> Mapping[str, str | None]:
        return {}

    @override
    def bind(self, outputs: Mapping[str, Shape | None]) -> dict[str, str]:
        return {name: name for name in outputs}

    @override
    def check(self, shapes: Mapping[str, Shape]) -> None:
        """Any shapes do."""

    @override
    def pays(self, shapes: Mapping[str, Shape]) -> bool:
        return False

    @override
    def read(self, ops: Ops[V], outputs: Mapping[str, V]) -> dict[str, V]:
        return dict(outputs)
