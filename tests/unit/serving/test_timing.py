from __future__ import annotations

import numpy as np
import pytest

from serving.sdk import pb
from serving.v2 import InferRequest, InferResponse, Tensor, grpc, rest
from serving.v2.timing import read_timings

TIMINGS = {"queue": 0.000125, "compute": 0.0042}
ASKED = InferRequest("m", (), binary_output=True)
ANSWER = InferResponse("m", "1", (Tensor("y", np.ones(3, np.float32)),), timings=TIMINGS)


def test_over_rest_the_times_travel_in_the_head() -> None:
    body = rest.encode_response(ANSWER, ASKED)

    assert body.headers["server-timing"] == "queue;dur=0.125, compute;dur=4.200"
    assert rest.decode_response(bytes(body), body.headers).timings == pytest.approx(TIMINGS)


def test_the_json_of_binary_answers_does_not_depend_on_their_times() -> None:
    other = InferResponse("m", "1", ANSWER.outputs, timings={"queue": 1.0, "compute": 2.0})

    assert rest.encode_response(ANSWER, ASKED).parts[0] == rest.encode_response(other, ASKED).parts[0]


def test_over_grpc_they_are_parameters() -> None:
    message = pb.ModelInferResponse.FromString(grpc.serialize_response(ANSWER, ASKED))

    assert message.parameters["queue_us"].int64_param == 125
    assert grpc.decode_response(message).timings == pytest.approx(TIMINGS)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "cache",
        "db;dur=53.2;desc=x",
        "Queue;dur=4",
        "x-queue;dur=7",
        "miss, ;dur=1",
        "queue;dur=-1",
        "queue;dur=nan",
        "a" * 100_000,
        "a;dur=" + "9" * 500,
    ],
    ids=[
        "none",
        "no time",
        "more",
        "another name",
        "a longer name",
        "no name",
        "less than nothing",
        "no number",
        "long",
        "many digits",
    ],
)
def test_a_head_of_another_server_is_no_fault(header: str) -> None:
    assert read_timings(header) == {}
