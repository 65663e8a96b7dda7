"""SIGTERM: readiness first, then the doors, then the models; what was accepted is answered."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus

import grpc
import httpx

from tests.sdk.asking import get, grpc_status, picture_message, tensor_message
from tests.sdk.scripted_predictor import ScriptedPredictor
from tests.sdk.sides import Fleet, Server
from tests.sdk.trap import Side, trap

REQUESTS = 8
LIMIT_S = 60.0
POLL_S = 0.02
PRODUCTS = 60.0
"""How long a request takes, in products of matrices: a few milliseconds each."""


@trap("the SDK stops and deletes its models before gRPC is drained: whoever waits for one meets a closed session")
def test_a_predictor_answers_what_it_has_accepted(fleet: Fleet, side: Side) -> None:
    with fleet.predictor(side) as predictor, ThreadPoolExecutor(REQUESTS) as clients:
        message = tensor_message(value=PRODUCTS)
        asked = [clients.submit(grpc_status, predictor, message) for _ in range(REQUESTS)]
        wait_until_accepted(predictor, asked)
        predictor.terminate()
        assert [answer.result() for answer in asked] == [grpc.StatusCode.OK] * REQUESTS


@trap("the SDK closes the client to the predictor first: requests under way hang until the grace period cuts them off")
def test_a_transformer_answers_what_it_has_accepted(fleet: Fleet, side: Side, scripted: ScriptedPredictor) -> None:
    with fleet.transformer(side, "grpc-v2") as transformer, ThreadPoolExecutor(1) as clients:
        with scripted.holding():
            asked = clients.submit(grpc_status, transformer, picture_message())
            scripted.wait_for_request()
            transformer.terminate()
        assert asked.result() is grpc.StatusCode.OK


@trap("the SDK closes REST at once: what routes traffic here learns of it from refused connections")
def test_readiness_turns_off_before_the_door_closes(fleet: Fleet, side: Side) -> None:
    with fleet.predictor(side, "--drain_delay_seconds=1") as predictor:
        predictor.terminate()
        assert readiness(predictor) == HTTPStatus.SERVICE_UNAVAILABLE


def wait_until_accepted(predictor: Server, asked: Sequence[Future[grpc.StatusCode]]) -> None:
    """Wait until the predictor has every request, or has answered it."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        answered = sum(answer.done() for answer in asked)  # counted first: none must be counted twice
        shown = re.search(r"in_flight_requests (\d+)", get(predictor, "/metrics").text)
        if shown is not None and int(shown[1]) + answered >= len(asked):
            return
        time.sleep(POLL_S)
    raise TimeoutError("the requests were not accepted")


def readiness(server: Server) -> int:
    """Return the status of the readiness probe; 0 where nobody answers."""
    try:
        return get(server, "/v2/health/ready").status_code
    except httpx.TransportError:
        return 0
