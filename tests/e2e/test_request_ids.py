from __future__ import annotations

import time

import pytest

from serving.sdk import pb
from tests.servers import MODEL, RunningPair

from .doors import DOORS, IDS, V2, Client, Door, json_request, picture_request, read_rpc_error

PATIENCE_S = 10.0


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_an_answer_carries_the_requests_id_under_both_names(client: Client, cat: bytes, door: Door, name: str) -> None:
    answer = door(client, cat, headers={name: f"id-{door.__name__}"})

    assert answer.is_ok
    assert answer.ids == dict.fromkeys(IDS, f"id-{door.__name__}")


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_an_error_carries_the_requests_id_under_both_names(client: Client, door: Door, name: str) -> None:
    answer = door(client, b"no picture", headers={name: "an-error"})

    assert answer.code == "IMAGE_UNSUPPORTED"
    assert answer.ids == dict.fromkeys(IDS, "an-error")


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_request_without_an_id_is_given_one(client: Client, cat: bytes, door: Door) -> None:
    answers = [door(client, cat), door(client, cat), door(client, b"")]

    assert all(answer.ids.keys() == set(IDS) for answer in answers)
    assert len({answer.ids[IDS[0]] for answer in answers}) == 3


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/metrics", "/info", "/v2", f"/v2/models/{MODEL}", "/nope"])
def test_every_route_carries_the_requests_id(client: Client, path: str) -> None:
    headers = client.http.get(path, headers={"x-request-id": "a-route"}).headers

    assert (headers["x-request-id"], headers["x-correlation-id"]) == ("a-route", "a-route")


def test_an_id_that_could_not_stand_in_a_header_is_replaced(client: Client, cat: bytes) -> None:
    answer = DOORS[0](client, cat, headers={"x-request-id": "two words"})

    assert answer.is_ok
    assert answer.ids[IDS[0]] not in ("", "two words")


def test_a_refusal_of_grpc_carries_its_code_alone(client: Client) -> None:
    answer = client.call(picture_request(b"", model="nobody"), headers={"x-request-id": "a-refusal"})

    assert answer.code == "MODEL_NOT_FOUND"
    assert answer.ids == dict.fromkeys(IDS, "a-refusal")


def test_the_methods_beside_inference_carry_the_id_too(client: Client) -> None:
    for method, request in (
        (client.stub.ModelReady, pb.ModelReadyRequest(name=MODEL)),
        (client.stub.ModelMetadata, pb.ModelMetadataRequest(name=MODEL)),
    ):
        _, call = method.with_call(request, metadata=(("x-correlation-id", "a-method"),))
        assert dict(call.trailing_metadata())["x-request-id"] == "a-method"


def test_an_unknown_name_beside_inference_is_not_found(client: Client) -> None:
    for method, request in (
        (client.stub.ModelReady, pb.ModelReadyRequest(name="nobody")),
        (client.stub.ModelMetadata, pb.ModelMetadataRequest(name="nobody")),
    ):
        call = method.future(request)
        assert read_rpc_error(call.exception()).code == "MODEL_NOT_FOUND"


@pytest.mark.parametrize("name", [MODEL, "nobody", ""])
def test_a_closed_repository_is_closed_whatever_is_asked_for(client: Client, name: str) -> None:
    call = client.stub.RepositoryModelLoad.future(pb.RepositoryModelLoadRequest(model_name=name))
    assert read_rpc_error(call.exception()).code == "REPOSITORY_CLOSED"


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_both_servers_log_one_line_with_the_requests_id(
    pair: RunningPair, client: Client, cat: bytes, door: Door
) -> None:
    name = f"logged-{door.__name__}"
    door(client, cat, headers={"x-request-id": name})

    deadline = time.monotonic() + PATIENCE_S
    lines: dict[str, list[dict[str, object]]] = {}
    while time.monotonic() < deadline and not all(lines.get(server) for server in ("transformer", "predictor")):
        lines = {
            server: [event for event in pair.log.events(server, "request") if event["request_id"] == name]
            for server in ("transformer", "predictor")
        }

    for (event,) in lines.values():
        assert (event["code"], event["rows"], event["model"], event["version"]) == ("OK", 1, MODEL, "1")
        assert event["task"] == "classification"
    assert lines["predictor"][0]["stages_ms"].keys() >= {"queue", "compute"}  # type: ignore[attr-defined]
    assert lines["transformer"][0]["stages_ms"].keys() >= {"preprocess", "predictor", "postprocess"}  # type: ignore[attr-defined]


def test_a_request_of_v2_keeps_its_own_id_in_the_body(client: Client, cat: bytes) -> None:
    request = picture_request(cat)
    request.id = "in-the-body"

    assert client.stub.ModelInfer(request).id == "in-the-body"
    body = client.http.post(V2, json={"id": "in-json", **json_request(cat)}).json()
    assert body["id"] == "in-json"
