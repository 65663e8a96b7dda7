"""The transformer's client to its predictor: what it sends, and what it makes of a refusal."""

from __future__ import annotations

from http import HTTPStatus

import grpc
import pytest

from tests.sdk.asking import ask_about_a_picture
from tests.sdk.scripted_predictor import ScriptedPredictor
from tests.sdk.sides import Fleet, Server
from tests.sdk.trap import Side, trap

PROTOCOLS = pytest.mark.parametrize("protocol", ["grpc-v2", "v2"])
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("protocol", ["v2"])
@trap("the SDK's client sends a binary tensor with two content types, and its server reads the wrong one: 400")
def test_a_binary_request_has_one_content_type(transformer: Server, scripted: ScriptedPredictor) -> None:
    ask_about_a_picture(transformer).raise_for_status()
    (request,) = scripted.seen
    assert request.values("content-type") == ["application/octet-stream"]


@PROTOCOLS
@trap("the SDK passes on three headers, and traceparent is none of them: the trace ends at the transformer")
def test_the_trace_goes_on_to_the_predictor(transformer: Server, scripted: ScriptedPredictor) -> None:
    ask_about_a_picture(transformer, {"traceparent": TRACEPARENT}).raise_for_status()
    (request,) = scripted.seen
    assert request.values("traceparent") == [TRACEPARENT]


@pytest.mark.parametrize(
    ("http", "code"),
    [
        (HTTPStatus.SERVICE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (HTTPStatus.GATEWAY_TIMEOUT, grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
)
@PROTOCOLS
@trap("the SDK's transformer turns whatever its predictor says into 500, so that no client knows to come back")
def test_a_predictors_refusal_keeps_its_meaning(
    transformer: Server, scripted: ScriptedPredictor, http: HTTPStatus, code: grpc.StatusCode
) -> None:
    with scripted.refusing(http, code):
        assert ask_about_a_picture(transformer).status_code == http


@trap("the SDK gives gRPC its number of retries as the number of attempts, and gRPC refuses a policy with one")
def test_one_retry_is_a_number_of_retries(fleet: Fleet, side: Side) -> None:
    with fleet.transformer(side, "grpc-v2", "--predictor_request_retries=1") as transformer:
        assert ask_about_a_picture(transformer).status_code == HTTPStatus.OK


@trap("the controller passes --workers where containerConcurrency is set, and the SDK's workers have no predictor: 501")
def test_the_workers_that_the_controller_asks_for_do_no_harm(fleet: Fleet, side: Side) -> None:
    with fleet.transformer(side, "grpc-v2", "--workers=2") as transformer:
        assert ask_about_a_picture(transformer).status_code == HTTPStatus.OK
