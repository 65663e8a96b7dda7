"""Raw: the model's outputs as they are; a picture goes in, and that is all that is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from serving.decoders import Array
from serving.errors import RequestInvalid
from serving.v2 import Tensor, TensorSpec
from serving.v2.json_data import json_data
from transformer.pictures import Prepared
from transformer.tasks.base import Answer, Task
from transformer.tasks.options import Options


class RawOptions(Options):
    """There is nothing to change."""


@dataclass(frozen=True, slots=True, eq=False)
class RawAnswer(Answer):
    """The outputs for one picture, by their names, without the batch axis."""

    tensors: Mapping[str, Array]

    @override
    def to_json(self) -> dict[str, object]:
        """Return `{name: {"datatype", "shape", "data"}}`, the data flat, row by row."""
        tensors = [Tensor(name, array) for name, array in self.tensors.items()]
        return {t.name: {"datatype": t.datatype, "shape": t.shape, "data": json_data(t)} for t in tensors}


class Raw(Task[RawAnswer, RawOptions]):
    """Its V2 outputs are the predictor's."""

    options_type: ClassVar[type[Options]] = RawOptions
    outputs: ClassVar[tuple[TensorSpec, ...]] = ()
    is_quick: ClassVar[bool] = False

    @override
    def specs(self, predictor: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        return predictor

    @override
    def decode(self, tensors: Mapping[str, Array], picture: Prepared, options: RawOptions) -> RawAnswer:
        return RawAnswer(tensors)

    @override
    def to_tensors(self, answers: Sequence[RawAnswer], names: Collection[str]) -> tuple[Tensor, ...]:
        """As every task; outputs whose size follows the picture cannot be joined.

        Raises:
            RequestInvalid: the pictures' differ.
        """
        return tuple(
            _joined(name, [answer.tensors[name] for answer in answers]) for name in answers[0].tensors if name in names
        )


def _joined(name: str, arrays: Sequence[Array]) -> Tensor:
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise RequestInvalid(
            f"output {name!r} has the shapes {', '.join(str(list(shape)) for shape in shapes[:4])} for these pictures, "
            "and so is no one tensor: send them one by one"
        )
    return Tensor(name, np.stack(arrays))
