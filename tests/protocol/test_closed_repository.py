"""A server whose models are given by whoever started it lets nobody load or unload them over the network."""

from __future__ import annotations

from http import HTTPStatus

import grpc
import pytest

from .messages import pb
from .rest import RestServer, assert_error_object, brief
from .rpc import RpcServer
from .tensors import Tensor

pytestmark = [pytest.mark.needs("repository-closed"), pytest.mark.usefixtures("still_serves")]

ACTIONS = ["load", "unload"]
REFUSALS = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
MESSAGES = {"load": pb.RepositoryModelLoadRequest, "unload": pb.RepositoryModelUnloadRequest}


@pytest.mark.parametrize("action", ACTIONS)
def test_over_rest_it_is_refused(rest: RestServer, action: str) -> None:
    response = rest.http.post(f"/v2/repository/models/{rest.target.model}/{action}")
    assert response.status_code in REFUSALS, brief(response)
    assert_error_object(response)


@pytest.mark.parametrize("action", ACTIONS)
def test_over_rest_the_model_stays_ready(rest: RestServer, action: str) -> None:
    rest.http.post(f"/v2/repository/models/{rest.target.model}/{action}")
    assert rest.get(f"{rest.model_path()}/ready").status_code == HTTPStatus.OK


@pytest.mark.needs("grpc")
@pytest.mark.parametrize("action", ACTIONS)
def test_over_grpc_it_is_refused(rpc: RpcServer, action: str) -> None:
    refused = rpc.refusal(f"RepositoryModel{action.title()}", MESSAGES[action](model_name=rpc.target.model))
    assert refused in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED}


@pytest.mark.needs("grpc")
def test_over_grpc_the_model_still_answers(rpc: RpcServer, inputs: list[Tensor]) -> None:
    rpc.refusal("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name=rpc.target.model))
    assert rpc.answer(rpc.any(inputs)).outputs
