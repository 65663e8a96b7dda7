"""The control: what the SDK does well both sides do, so that what fails elsewhere in this folder fails for its trap."""

from __future__ import annotations

from http import HTTPStatus

import grpc
import pytest

from tests.sdk.asking import (
    ask_about_a_picture,
    get,
    grpc_status,
    picture_message,
    post,
    tensor_bytes,
    tensor_json,
    tensor_message,
)
from tests.sdk.scripted_predictor import ScriptedPredictor
from tests.sdk.sides import Server
from tests.sdk.trap import both_sides
from tests.servers import MODEL

INFER = f"/v2/models/{MODEL}/infer"


@both_sides
def test_a_predictor_answers_json(predictor: Server) -> None:
    assert post(predictor, INFER, tensor_json(), {"content-type": "application/json"}).status_code == HTTPStatus.OK


@both_sides
def test_a_predictor_answers_binary_tensors(predictor: Server) -> None:
    assert post(predictor, INFER, *tensor_bytes()).status_code == HTTPStatus.OK


@both_sides
def test_a_predictor_answers_grpc(predictor: Server) -> None:
    assert grpc_status(predictor, tensor_message()) is grpc.StatusCode.OK


@both_sides
def test_a_predictor_is_ready(predictor: Server) -> None:
    assert get(predictor, f"/v2/models/{MODEL}/ready").status_code == HTTPStatus.OK


@pytest.mark.parametrize("protocol", ["grpc-v2", "v2"])
@both_sides
def test_a_transformer_answers_json(transformer: Server, scripted: ScriptedPredictor) -> None:
    assert ask_about_a_picture(transformer).status_code == HTTPStatus.OK
    assert len(scripted.seen) == 1


@both_sides
def test_a_transformer_answers_grpc(transformer: Server) -> None:
    assert grpc_status(transformer, picture_message()) is grpc.StatusCode.OK
