"""What a server says of itself, and what it lets strangers do to its models."""

from __future__ import annotations

from http import HTTPStatus

import grpc

from cli.processes import ServerFailed
from serving.sdk import pb
from tests.sdk.asking import call_status, get, post
from tests.sdk.scripted_predictor import ScriptedPredictor
from tests.sdk.sides import Fleet, Server, Unready
from tests.sdk.trap import Side, trap
from tests.servers import MODEL


@trap("the SDK's /v2/health/ready is always true, so that a pod gets traffic that its model refuses")
def test_a_server_is_not_ready_while_a_model_is_not(unhealthy: Unready) -> None:
    assert get(unhealthy.server, f"/v2/models/{unhealthy.model}/ready").status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert get(unhealthy.server, "/v2/health/ready").status_code == HTTPStatus.SERVICE_UNAVAILABLE


@trap("the SDK's transformer does not ask its predictor, and stays ready when it is gone")
def test_a_transformer_is_not_ready_without_its_predictor(transformer: Server, scripted: ScriptedPredictor) -> None:
    with scripted.not_ready():
        answer = get(transformer, f"/v2/models/{MODEL}/ready")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE


@trap("the SDK opens its ports once the models are loaded: a slow load looks dead, and a failed one says nothing")
def test_a_server_lives_whose_model_does_not_load(fleet: Fleet, side: Side) -> None:
    assert lives_without_its_model(fleet, side)


@trap("the SDK lets everyone who reaches the port unload a model")
def test_nobody_unloads_a_model_over_rest(predictor: Server, side: Side) -> None:
    model = MODEL if side == "ours" else f"{MODEL}-spare-rest"
    post(predictor, f"/v2/repository/models/{model}/unload")
    assert get(predictor, f"/v2/models/{model}/ready").status_code == HTTPStatus.OK


@trap("the SDK lets everyone who reaches the port unload a model")
def test_nobody_unloads_a_model_over_grpc(predictor: Server, side: Side) -> None:
    model = MODEL if side == "ours" else f"{MODEL}-spare-grpc"
    call_status(predictor, "RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name=model))
    assert call_status(predictor, "ModelMetadata", pb.ModelMetadataRequest(name=model)) is grpc.StatusCode.OK


def lives_without_its_model(fleet: Fleet, side: Side) -> bool:
    """Return whether a server without its ONNX file answers the liveness probe, instead of ending over the file."""
    try:
        with fleet.broken_predictor(side) as predictor:
            return get(predictor, "/v2/health/live").status_code == HTTPStatus.OK
    except ServerFailed as ended:
        if "NoSuchFile" not in str(ended):
            raise
        return False
