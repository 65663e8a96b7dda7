"""The Open Inference Protocol, version 2: its tensors and messages, and their REST and gRPC forms.

`tensor` and `message` are the values that travel inside the servers; `rest` and `grpc` turn them into bytes and back.
"""

from serving.v2.message import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    Parameter,
    Parameters,
    RequestedOutput,
    TensorSpec,
)
from serving.v2.tensor import DATATYPES, Tensor

__all__ = [
    "DATATYPES",
    "InferRequest",
    "InferResponse",
    "ModelMetadata",
    "Parameter",
    "Parameters",
    "RequestedOutput",
    "Tensor",
    "TensorSpec",
]
