"""Behind the transformer stands somebody else's server, which misbehaves in every way that a V2 server can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving.sdk import pb
from tests.servers import HOST, RunningServer, running_server
from tests.unit.transformer.foreign import (
    CLASSES,
    Answer,
    ForeignPredictor,
    foreign_predictor,
    never,
    refusal,
    response,
    zeros,
)

from .doors import Client, picture_request, raw_body, v2_grpc

INTERNAL, UNAVAILABLE = grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE
EXHAUSTED, LATE = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED
ASKED_S = 0.5


@pytest.fixture(scope="module")
def foreign() -> Iterator[ForeignPredictor]:
    with foreign_predictor() as predictor:
        yield predictor


@pytest.fixture(scope="module")
def transformer(foreign: ForeignPredictor, model_dir: Path) -> Iterator[RunningServer]:
    flags = [f"--predictor_host={HOST}:{foreign.port}", f"--predictor_request_timeout_seconds={ASKED_S}"]
    with running_server("transformer", [f"--model_dir={model_dir}", *flags]) as server:
        yield server


@pytest.fixture(scope="module")
def foreign_client(transformer: RunningServer) -> Iterator[Client]:
    client = Client(transformer)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _healthy_again(foreign: ForeignPredictor, foreign_client: Client, cat: bytes) -> Iterator[None]:
    """Once the test is over, a healthy predictor is believed again."""
    yield
    foreign.answer, foreign.ready = zeros, True
    assert raw_body(foreign_client, cat).is_ok


def fixed(message: pb.ModelInferResponse) -> Answer:
    return lambda _, __: message


def changed(**fields: Any) -> Answer:
    message = response(np.zeros((1, CLASSES), dtype=np.float32))
    for name, value in fields.items():
        if name == "shape":
            message.outputs[0].shape[:] = value
        else:
            setattr(message.outputs[0], name, value)
    return fixed(message)


def floats(value: float, *shape: int) -> Answer:
    return fixed(response(np.full(shape, value, dtype=np.float32)))


def no_data() -> Answer:
    message = response(np.zeros((1, CLASSES), dtype=np.float32))
    del message.raw_output_contents[:]
    return fixed(message)


def other_contract() -> Answer:
    return fixed(response(np.zeros((1, CLASSES), dtype=np.float32), contract="0" * 64))


def overloaded() -> Answer:
    return refusal(EXHAUSTED, "OVERLOADED: the queue is full", ("error-code", "OVERLOADED"))


FAULTY: dict[str, tuple[Answer, int, grpc.StatusCode, str]] = {
    "nothing": (fixed(pb.ModelInferResponse(model_name="m")), 502, INTERNAL, "PREDICTOR_FAULT"),
    "a tensor without data": (no_data(), 502, INTERNAL, "PREDICTOR_FAULT"),
    "a shape that its bytes do not fill": (changed(shape=[1, CLASSES + 1]), 502, INTERNAL, "PREDICTOR_FAULT"),
    "a shape that overflows": (changed(shape=[0, 2**62, 2**62]), 502, INTERNAL, "PREDICTOR_FAULT"),
    "a negative shape": (changed(shape=[-1, CLASSES]), 502, INTERNAL, "PREDICTOR_FAULT"),
    "an unknown datatype": (changed(datatype="FP8"), 502, INTERNAL, "PREDICTOR_FAULT"),
    "text": (fixed(response(np.frombuffer(b"\1\0\0\0a", np.uint8)[None], datatype="BYTES")), 502, INTERNAL,
             "PREDICTOR_FAULT"),
    "more rows than were asked for": (floats(0, 2, CLASSES), 502, INTERNAL, "PREDICTOR_FAULT"),
    "a number without an axis": (floats(0), 502, INTERNAL, "PREDICTOR_FAULT"),
    "no classes": (floats(0, 1, 0), 502, INTERNAL, "PREDICTOR_FAULT"),
    "another number of classes": (floats(0, 1, 10), 502, INTERNAL, "PREDICTOR_FAULT"),
    "NaN": (floats(float("nan"), 1, CLASSES), 502, INTERNAL, "PREDICTOR_FAULT"),
    "infinity": (floats(float("inf"), 1, CLASSES), 502, INTERNAL, "PREDICTOR_FAULT"),
    "another contract": (other_contract(), 503, UNAVAILABLE, "CONTRACT_MISMATCH"),
    "a refusal of the tensor": (refusal(grpc.StatusCode.INVALID_ARGUMENT), 502, INTERNAL, "PREDICTOR_FAULT"),
    "an error of its own": (refusal(INTERNAL), 502, INTERNAL, "PREDICTOR_FAULT"),
    "an unknown error": (refusal(grpc.StatusCode.UNKNOWN), 502, INTERNAL, "PREDICTOR_FAULT"),
    "that the model is not there": (refusal(grpc.StatusCode.NOT_FOUND), 503, UNAVAILABLE, "PREDICTOR_UNAVAILABLE"),
    "that it is not there itself": (refusal(UNAVAILABLE), 503, UNAVAILABLE, "PREDICTOR_UNAVAILABLE"),
    "that its queue is full": (overloaded(), 429, EXHAUSTED, "OVERLOADED"),
    "that the message is too large": (refusal(EXHAUSTED), 502, INTERNAL, "PREDICTOR_FAULT"),
    "that the time is over": (refusal(LATE), 504, LATE, "DEADLINE_EXCEEDED"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_a_predictor_that_answers(foreign: ForeignPredictor, foreign_client: Client, cat: bytes, name: str) -> None:
    foreign.answer, status, grpc_status, code = FAULTY[name]

    over_rest, over_grpc = raw_body(foreign_client, cat), v2_grpc(foreign_client, cat)

    assert (over_rest.status, over_rest.code) == (status, code), over_rest.message
    assert (over_grpc.status, over_grpc.code) == (grpc_status, code), over_grpc.message


def test_of_an_overloaded_predictor_the_caller_is_told_when_to_come_back(
    foreign: ForeignPredictor, foreign_client: Client, cat: bytes
) -> None:
    foreign.answer = overloaded()

    answer = foreign_client.http.post("/predict", content=cat, headers={"content-type": "image/jpeg"})

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_another_contract_is_counted(foreign: ForeignPredictor, foreign_client: Client, cat: bytes) -> None:
    foreign.answer = other_contract()
    raw_body(foreign_client, cat)

    metrics = foreign_client.http.get("/metrics").text
    (line,) = [line for line in metrics.splitlines() if line.startswith("kserve_vision_contract_mismatches_total{")]
    assert float(line.split()[-1]) >= 1


def test_a_slow_predictor_ends_with_the_callers_own_deadline(
    foreign: ForeignPredictor, foreign_client: Client, cat: bytes
) -> None:
    foreign.answer = never

    answer = raw_body(foreign_client, cat, headers={"x-request-timeout-ms": "100"})

    assert (answer.status, answer.code) == (504, "DEADLINE_EXCEEDED")


def test_a_slow_predictor_ends_with_the_deadline_of_the_settings(
    foreign: ForeignPredictor, foreign_client: Client, cat: bytes
) -> None:
    foreign.answer = never

    over_rest, over_grpc = raw_body(foreign_client, cat), v2_grpc(foreign_client, cat)

    assert (over_rest.status, over_rest.code) == (504, "DEADLINE_EXCEEDED")
    assert (over_grpc.status, over_grpc.code) == (LATE, "DEADLINE_EXCEEDED")


def test_a_slow_predictor_ends_with_the_deadline_of_grpc(
    foreign: ForeignPredictor, foreign_client: Client, cat: bytes
) -> None:
    foreign.answer = never

    assert foreign_client.call(picture_request(cat), timeout=0.1).status is LATE


def test_a_predictor_that_is_not_ready_makes_the_transformer_not_ready(
    foreign: ForeignPredictor, foreign_client: Client
) -> None:
    foreign.ready = False

    answer = foreign_client.get("/v2/health/ready")

    assert (answer.status, answer.code) == (503, "PREDICTOR_UNAVAILABLE")
    assert foreign_client.get("/v2/health/live").status == 200


def test_ids_and_traces_are_passed_on(foreign: ForeignPredictor, foreign_client: Client, cat: bytes) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    sent = {"x-correlation-id": "passed-on", "traceparent": trace, "tracestate": "a=b", "cookie": "secret"}
    raw_body(foreign_client, cat, headers=sent)

    metadata = foreign.asked()[-1]
    assert {metadata["x-request-id"], metadata["x-correlation-id"]} == {"passed-on"}
    assert (metadata["traceparent"], metadata["tracestate"]) == (trace, "a=b")
    assert "cookie" not in metadata
