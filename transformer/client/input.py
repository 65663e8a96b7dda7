"""What a predictor takes: pixels, or the numbers that this side then makes of them."""

from __future__ import annotations

from dataclasses import dataclass

from serving.contract import PIXELS, Contract, Datatype, Layout
from serving.errors import ModelNotReady
from serving.v2 import ModelMetadata, TensorSpec
from serving.v2.message import ANY


@dataclass(frozen=True, slots=True)
class PredictorInput:
    """The predictor's input for pictures; where it `takes_numbers`, the transformer normalises.

    A predictor whose metadata lists no inputs is taken to have the contract's own, if that is named.
    """

    tensor: TensorSpec
    takes_numbers: bool

    @classmethod
    def of(cls, metadata: ModelMetadata, contract: Contract) -> PredictorInput:
        """Find the input in a predictor's metadata.

        Raises:
            ModelNotReady: it takes neither pixels nor the contract's own tensor; another predictor may come.
        """
        rules = contract.input
        pixels = (ANY, rules.height, rules.width, 3)
        planes = (ANY, 3, rules.height, rules.width) if rules.layout is Layout.NCHW else pixels
        if not metadata.inputs and rules.tensor is not None:
            # The KServe SDK's models list nothing unless they were written to.
            return cls(TensorSpec(rules.tensor, rules.datatype, planes), takes_numbers=True)
        for spec in metadata.inputs:
            if len(metadata.inputs) > 1 and spec.name != rules.tensor:
                continue
            if spec.datatype == "UINT8" and _takes(spec, pixels):
                # Where the model's own tensor has the same form, only the name tells whether BGR is still to be made.
                own = rules.datatype is Datatype.UINT8 and not spec.name.startswith(PIXELS)
                return cls(spec, takes_numbers=own and rules.layout is Layout.NHWC)
            if spec.datatype == rules.datatype and _takes(spec, planes):
                return cls(spec, takes_numbers=True)
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


def _takes(spec: TensorSpec, wanted: tuple[int, ...]) -> bool:
    """Whether a tensor of the shape `wanted` fits; its first axis is the batch."""
    return len(spec.shape) == len(wanted) and all(
        own in (ANY, asked) for own, asked in zip(spec.shape[1:], wanted[1:], strict=True)
    )
