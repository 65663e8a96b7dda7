"""The graph compiler's back side."""

from __future__ import annotations

import onnx

from predictor.graph.names import quoted
from serving.contract import Contract
from serving.errors import ContractInvalid


def check_output(model: onnx.ModelProto, contract: Contract) -> None:
    """Hold the contract's output against the graph's.

    Raises:
        ContractInvalid: the graph has no output of that name, or several and the contract names none.
    """
    outputs = {value.name: value for value in model.graph.output}
    wanted = contract.output.tensor
    if wanted is None and len(outputs) != 1:
        raise ContractInvalid(f"the graph has the outputs {quoted(outputs)}: output.tensor must name one of them")
    if wanted is not None and wanted not in outputs:
        raise ContractInvalid(f"output.tensor is {wanted!r}; the graph has the outputs {quoted(outputs)}")
