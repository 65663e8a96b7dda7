"""What a predictor takes: pixels, or the numbers that this side then makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from serving.contract import PIXELS, Contract, Datatype, Layout, SizeOrder
from serving.errors import ModelNotReady
from serving.v2 import ModelMetadata, Tensor, TensorSpec
from serving.v2.message import ANY
from serving.v2.tensor import DATATYPES, Array

_SIZE_DATATYPES: Final = ("INT64", "INT32", "FP32")


@dataclass(frozen=True, slots=True)
class PredictorInput:
    """The predictor's input for pictures; where it `takes_numbers`, the transformer normalises. Its height and width
    must be free where they follow the picture.

    A predictor whose metadata lists no inputs is taken to have the contract's own, if that is named.
    """

    tensor: TensorSpec
    takes_numbers: bool
    size: TensorSpec | None = None
    """The second input, for the size of the first, where the graph is served as it is."""

    @classmethod
    def of(cls, metadata: ModelMetadata, contract: Contract) -> PredictorInput:
        """Find the input in a predictor's metadata.

        Raises:
            ModelNotReady: it takes neither pixels nor the contract's own tensor; another predictor may come.
        """
        rules = contract.input
        height, width = (ANY, ANY) if rules.follows_picture else rules.largest_size
        pixels = (ANY, height, width, 3)
        planes = (ANY, 3, height, width) if rules.layout is Layout.NCHW else pixels
        if not metadata.inputs and rules.tensor is not None:
            # The KServe SDK's models list nothing unless they were written to.
            size = TensorSpec(rules.size_tensor, "INT64", (ANY, 2)) if rules.size_tensor else None
            return cls(TensorSpec(rules.tensor, rules.datatype, planes), takes_numbers=True, size=size)
        size = next((spec for spec in metadata.inputs if spec.name == rules.size_tensor), None)
        if size is not None and (size.datatype not in _SIZE_DATATYPES or not _takes(size, (ANY, 2))):
            raise ModelNotReady(
                f"the predictor's {size.name!r} is {size.datatype} {list(size.shape)}; by the contract it should take "
                f"a size, {', '.join(_SIZE_DATATYPES)} [-1, 2]",
                retry_after_s=1,
            )
        inputs = [spec for spec in metadata.inputs if spec is not size]
        for spec in inputs:
            if len(inputs) > 1 and spec.name != rules.tensor:
                continue
            if spec.datatype == "UINT8" and _takes(spec, pixels):
                # Where the model's own tensor has the same form, only the name tells whether BGR is still to be made.
                own = rules.datatype is Datatype.UINT8 and not spec.name.startswith(PIXELS)
                return cls(spec, takes_numbers=own and rules.layout is Layout.NHWC, size=size)
            if spec.datatype == rules.datatype and _takes(spec, planes):
                return cls(spec, takes_numbers=True, size=size)
        if not metadata.inputs:
            raise ModelNotReady(
                "the predictor's metadata lists no inputs: name its tensor in the contract's input.tensor"
            )
        found = ", ".join(f"{s.name!r} {s.datatype} {list(s.shape)}" for s in metadata.inputs)
        raise ModelNotReady(
            f"the predictor takes {found}; by the contract it should take UINT8 {list(pixels)} or {rules.datatype} "
            f"{list(planes)}",
            retry_after_s=1,
        )

    def tensors(self, array: Array, contract: Contract) -> tuple[Tensor, ...]:
        """Return the inputs of a request for pictures, or the numbers made of them, whose first axis is the batch."""
        picture = Tensor(self.tensor.name, array)
        if self.size is None:
            return (picture,)
        rules = contract.input
        planes = self.takes_numbers and rules.layout is Layout.NCHW
        height, width = array.shape[2:4] if planes else array.shape[1:3]
        sides = (width, height) if rules.size_order is SizeOrder.WIDTH_HEIGHT else (height, width)
        sizes = np.tile(np.array(sides, DATATYPES[self.size.datatype]), (len(array), 1))
        return picture, Tensor(self.size.name, sizes)


def _takes(spec: TensorSpec, wanted: tuple[int, ...]) -> bool:
    """Whether a tensor of the shape `wanted` fits; its first axis is the batch."""
    return len(spec.shape) == len(wanted) and all(
        own in (ANY, asked) for own, asked in zip(spec.shape[1:], wanted[1:], strict=True)
    )
