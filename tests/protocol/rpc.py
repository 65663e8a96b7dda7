"""The gRPC half: messages of which each field is the test's own, and the reading of what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import pytest

from .answers import Answer
from .messages import pb, pb_grpc
from .target import Target
from .tensors import DTYPES, Tensor, from_raw

DEADLINE_S = 30
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
TYPED_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class RpcServer:
    """A server's gRPC side, seen from one model."""

    def __init__(self, channel: grpc.Channel, target: Target) -> None:
        self.stub = pb_grpc.GRPCInferenceServiceStub(channel)
        self.target = target

    def call(self, method: str, request: object) -> Any:
        """Call `method` and return its response."""
        return getattr(self.stub, method)(request, timeout=DEADLINE_S)

    def refusal(self, method: str, request: object) -> grpc.StatusCode:
        """Call `method` and return the status with which it is refused; the status tells why in words."""
        with pytest.raises(grpc.RpcError) as refused:
            self.call(method, request)
        assert refused.value.details()
        return refused.value.code()

    def answer(self, request: pb.ModelInferRequest) -> Answer:
        """Infer and read the answer."""
        return read_answer(self.call("ModelInfer", request))

    def assert_invalid(self, request: pb.ModelInferRequest) -> None:
        """The request is refused as the client's fault, not as the server's."""
        assert self.refusal("ModelInfer", request) == grpc.StatusCode.INVALID_ARGUMENT

    def typed(self, inputs: Sequence[Tensor]) -> pb.ModelInferRequest:
        """Return a request with typed contents."""
        request = self._head(inputs)
        for tensor, message in zip(inputs, request.inputs, strict=True):
            field = TYPED_FIELDS.get(tensor.datatype)
            if field is None:
                pytest.skip(f"{tensor.datatype} travels raw only")
            getattr(message.contents, field).extend(tensor.elements.tolist())
        return request

    def raw(self, inputs: Sequence[Tensor]) -> pb.ModelInferRequest:
        """Return a request with raw contents."""
        request = self._head(inputs)
        request.raw_input_contents.extend(tensor.raw for tensor in inputs)
        return request

    def any(self, inputs: Sequence[Tensor]) -> pb.ModelInferRequest:
        """Return a request in the spelling that the server has, raw before typed."""
        return self.raw(inputs) if self.target.offers("grpc-raw") else self.typed(inputs)

    def _head(self, inputs: Sequence[Tensor]) -> pb.ModelInferRequest:
        request = pb.ModelInferRequest(model_name=self.target.model)
        for tensor in inputs:
            request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        return request


def read_answer(response: pb.ModelInferResponse) -> Answer:
    """Read an answer, raw or typed but not both."""
    raw = list(response.raw_output_contents)
    outputs: list[Tensor] = []
    for index, output in enumerate(response.outputs):
        if raw:
            assert len(raw) == len(response.outputs)
            assert not output.HasField("contents") or not output.contents.ByteSize(), "the data is said twice"
            outputs.append(from_raw(output.name, output.datatype, output.shape, raw[index]))
        else:
            values = getattr(output.contents, TYPED_FIELDS[output.datatype])
            elements = np.empty(len(values), dtype=DTYPES[output.datatype])
            elements[:] = list(values)
            outputs.append(Tensor(output.name, output.datatype, tuple(output.shape), elements))
    return Answer(response.model_name, response.model_version, response.id, tuple(outputs))
