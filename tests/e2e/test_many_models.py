"""One predictor and one transformer before a repository: every model and version answers for itself."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from serving.sdk import pb
from tests.repository import BAD_CONTRACT, BAD_GRAPH, LABELS, PLAIN, SEVERAL
from tests.servers import HOST, RunningPair, RunningServer, running_server

from .doors import Client, json_request, picture_request, read_http, read_rpc_error

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def clients(repository_pair: RunningPair) -> Iterator[dict[str, Client]]:
    """Connections to both servers, by their names."""
    clients = {name: Client(getattr(repository_pair, name)) for name in ("transformer", "predictor")}
    yield clients
    for each in clients.values():
        each.close()


@pytest.fixture
def client(clients: dict[str, Client]) -> Client:
    """Connections to the transformer."""
    return clients["transformer"]


@pytest.fixture(params=["transformer", "predictor"])
def each(request: pytest.FixtureRequest, clients: dict[str, Client]) -> Client:
    """Connections to either server."""
    return clients[request.param]


def answered(client: Client, picture: bytes, query: str = "") -> tuple[str, dict[str, str]]:
    """The label and the model of an answer of /predict."""
    body = client.http.post(f"/predict{query}", content=picture, headers=JPEG).json()
    return body["predictions"][0]["label"], body["model"]


@pytest.mark.parametrize("version", LABELS)
def test_a_version_answers_by_its_own_rules_at_every_door(client: Client, cat: bytes, version: str) -> None:
    v2 = client.http.post(f"/v2/models/{SEVERAL}/versions/{version}/infer", json=json_request(cat))
    rpc = client.call(picture_request(cat, model=SEVERAL, version=version))
    batch = client.http.post(f"/predict/batch?model={SEVERAL}&version={version}", files={"files": cat}).json()

    assert read_http(v2).label == rpc.label == batch["results"][0]["predictions"][0]["label"] == LABELS[version]
    assert v2.json()["model_version"] == version
    assert answered(client, cat, f"?model={SEVERAL}&version={version}") == (
        LABELS[version],
        {"name": SEVERAL, "version": version},
    )


def test_where_no_version_is_named_the_largest_answers(client: Client, cat: bytes) -> None:
    v2 = client.http.post(f"/v2/models/{SEVERAL}/infer", json=json_request(cat)).json()
    v1 = client.http.post(
        f"/v1/models/{SEVERAL}:predict", json={"instances": [json_request(cat)["inputs"][0]["data"][0]]}
    )

    assert v2["model_version"] == "2"
    assert read_http(v1).label == LABELS["2"]
    assert answered(client, cat, f"?model={SEVERAL}") == (LABELS["2"], {"name": SEVERAL, "version": "2"})


def test_a_model_without_version_folders_has_the_version_of_its_contract(client: Client, cat: bytes) -> None:
    assert answered(client, cat, f"?model={PLAIN}&version=1") == ("tiger cat", {"name": PLAIN, "version": "1"})


def test_options_and_the_choice_of_a_model_go_together(client: Client, cat: bytes) -> None:
    answer = client.http.post(f"/predict?top_k=2&model={PLAIN}", content=cat, headers=JPEG).json()

    assert len(answer["predictions"]) == 2


@pytest.mark.parametrize("path", ["/predict", "/predict?version=1", "/info"])
def test_where_no_model_is_named_the_names_are_told(client: Client, cat: bytes, path: str) -> None:
    answer = client.get(path) if path == "/info" else client.post(path, content=cat, headers=JPEG)

    assert (answer.status, answer.code) == (400, "REQUEST_INVALID")
    assert f"?model=NAME: this server has {BAD_CONTRACT!r}, {BAD_GRAPH!r}, {SEVERAL!r}, {PLAIN!r}" in answer.message


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?model=nobody", 404, "MODEL_NOT_FOUND"),
        ("?model=", 404, "MODEL_NOT_FOUND"),
        (f"?model={SEVERAL}&version=3", 404, "VERSION_NOT_FOUND"),
        (f"?model={SEVERAL}&version=", 404, "VERSION_NOT_FOUND"),
        (f"?model={SEVERAL}&version=02", 404, "VERSION_NOT_FOUND"),
        (f"?model={BAD_CONTRACT}", 503, "CONTRACT_INVALID"),
        (f"?model={SEVERAL}&versions=1", 400, "REQUEST_INVALID"),
    ],
)
def test_a_choice_that_cannot_be_met_is_refused(client: Client, cat: bytes, query: str, status: int, code: str) -> None:
    answer = client.post(f"/predict{query}", content=cat, headers=JPEG)

    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("version", LABELS)
def test_info_tells_of_the_version_that_is_asked(client: Client, version: str) -> None:
    info = client.http.get(f"/info?model={SEVERAL}&version={version}").json()

    assert info["model"] == {"name": SEVERAL, "version": version}


def test_models_lists_every_version_with_its_state(client: Client) -> None:
    listed = {each["name"]: each for each in client.http.get("/models").json()["models"]}

    assert list(listed) == [BAD_CONTRACT, BAD_GRAPH, SEVERAL, PLAIN]
    assert not any(each["default"] for each in listed.values())
    assert [(each["version"], each["state"], each["default"]) for each in listed[SEVERAL]["versions"]] == [
        ("2", "READY", True),
        ("1", "READY", False),
    ]
    (plain,) = listed[PLAIN]["versions"]
    assert plain == {"version": "1", "task": "classification", "state": "READY", "reason": "", "default": True}
    (bad,) = listed[BAD_CONTRACT]["versions"]
    assert (bad["state"], bad["task"]) == ("UNAVAILABLE", "")
    assert "did you mean normalize?" in bad["reason"]


def test_with_one_model_it_is_the_default(pair: RunningPair) -> None:
    (listed,) = httpx.get(f"{pair.transformer.url}/models", trust_env=False).json()["models"]

    assert (listed["default"], listed["versions"][0]["default"]) == (True, True)


def test_broken_models_leave_the_server_ready_and_tell_why_they_are_not(each: Client) -> None:
    assert each.get("/ready").status == 200
    assert each.get("/v2/health/ready").status == 200
    assert each.http.get("/health").json()["model_loaded"] is True
    assert each.stub.ServerReady(pb.ServerReadyRequest()).ready
    for model, said in ((BAD_CONTRACT, "did you mean normalize?"), (BAD_GRAPH, "model.onnx is not an ONNX model")):
        for path in (f"/v2/models/{model}/ready", f"/v2/models/{model}/versions/1/ready"):
            answer = each.get(path)
            assert answer.status == 503
            assert said in answer.message
        assert not each.stub.ModelReady(pb.ModelReadyRequest(name=model)).ready
        assert not each.stub.ModelReady(pb.ModelReadyRequest(name=model, version="1")).ready
        refused = each.stub.ModelMetadata.future(pb.ModelMetadataRequest(name=model)).exception()
        assert said in read_rpc_error(refused).message


def test_the_index_lists_every_version_its_state_and_the_reason(clients: dict[str, Client]) -> None:
    for name, state in (("predictor", "UNAVAILABLE"), ("transformer", "LOADING")):
        index = clients[name].http.post("/v2/repository/index").json()
        lines = {(line["name"], line["version"]): (line["state"], line["reason"]) for line in index}
        assert lines[(SEVERAL, "1")] == lines[(SEVERAL, "2")] == lines[(PLAIN, "1")] == ("READY", "")
        assert lines[(BAD_CONTRACT, "1")][0] == "UNAVAILABLE"
        assert lines[(BAD_GRAPH, "1")][0] == state, "the transformer waits for its predictor's to be mended"
        assert "MODEL_LOAD_FAILED" in lines[(BAD_GRAPH, "1")][1]


def test_the_index_can_be_asked_for_what_is_ready(each: Client) -> None:
    index = each.http.post("/v2/repository/index", json={"ready": True}).json()

    assert {line["name"] for line in index} == {SEVERAL, PLAIN}
    assert each.post("/v2/repository/index", json={"ready": "yes"}).code == "REQUEST_INVALID"


def test_a_metric_tells_which_versions_are_ready(each: Client) -> None:
    text = each.http.get("/metrics").text
    found = re.findall(r'kserve_vision_model_ready\{model="([^"]+)",version="([^"]*)"\} (\d)', text)

    assert {(model, version) for model, version, ready in found if ready == "1"} == {
        (SEVERAL, "1"),
        (SEVERAL, "2"),
        (PLAIN, "1"),
    }
    assert {model for model, _, ready in found if ready == "0"} == {BAD_CONTRACT, BAD_GRAPH}


def test_requests_are_counted_and_logged_by_model_and_version(
    repository_pair: RunningPair, client: Client, cat: bytes
) -> None:
    answered(client, cat, f"?model={SEVERAL}&version=1")
    text = client.http.get("/metrics").text

    assert re.search(rf'requests_total\{{code="OK",model="{SEVERAL}",protocol="http",version="1"\}} [1-9]', text)
    for server in ("transformer", "predictor"):
        repository_pair.log.wait_for(server, "request", model=SEVERAL, version="1")


def test_over_rest_a_transformer_meets_the_same_versions_and_reasons(
    repository_pair: RunningPair, repository: Path, cat: bytes
) -> None:
    host = f"--predictor_host={HOST}:{repository_pair.predictor.ports.http}"
    flags = [f"--model_dir={repository}", host, "--predictor_protocol=v2", f"--model_name={PLAIN}"]
    with running_server("transformer", flags) as transformer:
        client = Client(transformer)
        asked = [answered(client, cat, query) for query in ("", f"?model={SEVERAL}&version=1", f"?model={SEVERAL}")]
        reason = client.get(f"/v2/models/{BAD_GRAPH}/ready").message
        client.close()

    assert asked == [
        ("tiger cat", {"name": PLAIN, "version": "1"}),
        ("first cat", {"name": SEVERAL, "version": "1"}),
        ("second cat", {"name": SEVERAL, "version": "2"}),
    ]
    assert "model.onnx is not an ONNX model" in reason


NAMES: dict[str, str] = {
    "..": "a parent",
    ".": "a folder itself",
    "..%2F..%2Fetc": "a path",
    "%2e%2e": "a parent in disguise",
    f"{SEVERAL}%2F1": "a version's path",
    f"{SEVERAL}%00": "a NUL",
    "%20": "a blank",
    SEVERAL.upper(): "another case",
    "x" * 8000: "very long",
    "%EF%BC%91": "a wide digit",
    "%ff": "no UTF-8",
}


def ask(server: RunningServer, method: str, path: str) -> tuple[int, bytes]:
    """Send a path as it is: other clients mend it."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    try:
        connection.request(method, path, body=b"" if method == "POST" else None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", NAMES, ids=list(NAMES.values()))
@pytest.mark.parametrize("server", ["transformer", "predictor"])
def test_a_name_that_is_none_is_not_found_at_any_route(repository_pair: RunningPair, server: str, name: str) -> None:
    before = len(repository_pair.log.lines)
    for method, path in (
        ("GET", f"/v2/models/{name}"),
        ("GET", f"/v2/models/{name}/ready"),
        ("POST", f"/v2/models/{name}/infer"),
        ("GET", f"/v2/models/{name}/versions/1/ready"),
        ("GET", f"/v1/models/{name}"),
        ("POST", f"/v1/models/{name}:predict"),
        ("POST", f"/v2/repository/models/{name}/load"),
        ("POST", f"/v2/repository/models/{name}/unload"),
    ):
        status, body = ask(getattr(repository_pair, server), method, path)
        assert status == 404, (path[:80], body)
        assert len(body) < 500
    assert not [line for _, line in repository_pair.log.lines[before:] if "unforeseen" in line]


def test_an_empty_repository_is_refused_with_a_sentence(tmp_path_factory: pytest.TempPathFactory) -> None:

    folder = tmp_path_factory.mktemp("empty")
    with running_server("predictor", [f"--model_dir={folder}"], ready=False) as server:
        client = Client(server)
        answer = client.ready_once_known()
        client.close()
    assert (answer.status, answer.code) == (503, "MODEL_LOAD_FAILED")
    assert "is empty: a model directory holds model.yaml" in answer.message
