"""The gRPC door: what fits through it, and the statuses that callers decide by."""

from __future__ import annotations

import grpc

from tests.sdk.asking import grpc_status, tensor_message
from tests.sdk.sides import Server, Unready
from tests.sdk.trap import trap


@trap("the SDK's server takes messages of 8 MiB: two pictures of 640x640 in FP32 are more")
def test_a_batch_over_8_mib_is_answered(predictor: Server) -> None:
    assert grpc_status(predictor, tensor_message(rows=200)) is grpc.StatusCode.OK


@trap("the SDK's interceptor reads an attribute that its ModelNotReady lacks: UNKNOWN, which nobody sends again")
def test_a_model_that_refuses_is_unavailable(cold: Unready) -> None:
    assert grpc_status(cold.server, tensor_message(model=cold.model)) is grpc.StatusCode.UNAVAILABLE


@trap("the SDK loads an unhealthy model on the event loop in the middle of a gRPC request, and asks it all the same")
def test_a_model_that_is_not_ready_is_not_asked(unhealthy: Unready) -> None:
    assert grpc_status(unhealthy.server, tensor_message(model=unhealthy.model)) is grpc.StatusCode.UNAVAILABLE
