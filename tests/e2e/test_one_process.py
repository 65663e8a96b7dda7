"""Transformer and predictor in one process answer what the two of them do, to the byte."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import zoo
from serving.sdk import pb
from tests.packages import skip_without_client
from tests.photos import encoded, photo
from tests.repository import BAD_CONTRACT, BAD_GRAPH, LABELS, PLAIN, SEVERAL, write_version
from tests.servers import MODEL, RunningPair, RunningServer, running_pair, running_server

from .doors import Client, binary_request, json_request, picture_request, read_http
from .test_bad_pictures import BAD
from .test_stopping import CLIENTS, DRAIN_S, REFUSED, load, readiness

JPEG = {"content-type": "image/jpeg", "x-request-id": "the-same"}
TASKS = {"efficientnet-lite0": "classification", "yolov4-tiny": "detection", "u2netp": "segmentation"}
PHOTOS = ("chelsea", "astronaut")
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of a model for each task."""
    root = tmp_path_factory.mktemp("tasks")
    for name in TASKS:
        skip_without_client(name)
        (root / name).symlink_to(zoo.pull_cached(name), target_is_directory=True)
    return root


@pytest.fixture(scope="module")
def two(tasks: Path) -> Iterator[Client]:
    """Connections to a transformer in front of a predictor."""
    with running_pair(tasks) as pair:
        client = Client(pair.transformer)
        yield client
        client.close()


@pytest.fixture(scope="module")
def one(tasks: Path) -> Iterator[RunningServer]:
    """One process of the same models."""
    with running_server("edge", [f"--model_dir={tasks}"]) as server:
        yield server


@pytest.fixture(scope="module")
def client(one: RunningServer) -> Iterator[Client]:
    """Connections to the one process."""
    client = Client(one)
    yield client
    client.close()


def without_times(answer: httpx.Response) -> tuple[int, Any]:
    """A status, and a body without what differs from one request to the next."""
    if answer.headers["content-type"] != "application/json":
        return answer.status_code, answer.content
    return answer.status_code, {key: value for key, value in answer.json().items() if key != "timing_ms"}


@pytest.mark.parametrize("picture", PHOTOS)
@pytest.mark.parametrize("model", TASKS)
def test_every_rest_door_answers_what_two_servers_answer(client: Client, two: Client, model: str, picture: str) -> None:
    content = encoded(photo(picture), "JPEG")
    body, binary_headers = binary_request(content, content)
    asked: list[tuple[str, dict[str, Any]]] = [
        (f"/predict?model={model}", {"content": content}),
        (f"/predict?model={model}&render=true", {"content": content}),
        (f"/predict/batch?model={model}", {"files": [("files", content), ("files", content)]}),
        (f"/v2/models/{model}/infer", {"json": json_request(content)}),
        (f"/v2/models/{model}/infer", {"content": body, "headers": binary_headers}),
        (f"/v1/models/{model}:predict", {"json": {"instances": [json_request(content)["inputs"][0]["data"][0]]}}),
    ]
    for path, options in asked:
        headers = {"x-request-id": "the-same"} | options.pop("headers", {})
        if path.startswith("/predict?"):
            headers |= JPEG
        here, there = (each.http.post(path, headers=headers, **options) for each in (client, two))
        assert here.status_code == 200
        assert without_times(here) == without_times(there)


@pytest.mark.parametrize("model", TASKS)
def test_grpc_answers_what_two_servers_answer(client: Client, two: Client, cat: bytes, model: str) -> None:
    request = picture_request(cat, cat, model=model)
    here, there = (each.stub.ModelInfer(request, timeout=PATIENCE_S) for each in (client, two))
    assert here.SerializeToString(deterministic=True) == there.SerializeToString(deterministic=True)


@pytest.mark.parametrize("model", TASKS)
def test_metadata_and_info_are_those_of_the_pictures_door(client: Client, two: Client, model: str) -> None:
    for path in (f"/v2/models/{model}", f"/info?model={model}", "/models", "/v2", "/v2/models"):
        assert client.http.get(path).json() == two.http.get(path).json()


@pytest.mark.parametrize("case", BAD)
def test_a_bad_picture_is_refused_in_the_same_words(client: Client, two: Client, case: str) -> None:
    make, status, code = BAD[case]
    content = make()
    here, there = (each.http.post(f"/predict?model={MODEL}", content=content, headers=JPEG) for each in (client, two))
    assert (here.status_code, here.json()["error"]["code"]) == (status, code)
    assert without_times(here) == without_times(there)


def test_the_predictors_tensors_have_no_door(client: Client) -> None:
    pixels = {"name": "pixels", "datatype": "UINT8", "shape": [1, 224, 224, 3], "data": [0] * (224 * 224 * 3)}
    answer = client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [pixels]})
    assert (answer.status, answer.code) == (400, "TENSOR_INVALID")
    assert "it takes 'image'" in answer.message


def test_a_request_is_one_line_and_is_counted_once_with_the_stages_of_both_halves(
    one: RunningServer, client: Client, cat: bytes
) -> None:
    answer = client.http.post(f"/predict?model={MODEL}", content=cat, headers=JPEG | {"x-request-id": "counted"})
    text = client.http.get("/metrics").text
    deadline = time.monotonic() + PATIENCE_S
    while not (lines := [each for each in one.log.events("edge", "request") if each["request_id"] == "counted"]):
        assert time.monotonic() < deadline, "the line was not written"
        time.sleep(0.01)

    assert answer.status_code == 200
    assert len(lines) == 1
    assert {"queue", "preprocess", "predictor", "compute", "postprocess"} <= lines[0]["stages_ms"].keys()
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    for said in (
        'kserve_vision_info{server="edge"',
        f'kserve_vision_run_rows_count{{model="{MODEL}",version="1"}}',
        f'kserve_vision_stage_seconds_count{{model="{MODEL}",stage="compute"}}',
        'kserve_vision_queue_rows{model="",version=""} 0.0',
        f'kserve_vision_queue_rows{{model="{MODEL}",version="1"}} 0.0',
    ):
        assert said in text


async def test_under_load_every_caller_gets_the_answer_to_its_own_picture(one: RunningServer) -> None:
    pictures = {name: encoded(photo(name), "JPEG") for name in ("chelsea", "coffee", "rocket", "flower")}
    async with httpx.AsyncClient(base_url=one.url, timeout=PATIENCE_S, trust_env=False) as http:

        async def ask(name: str, model: str) -> tuple[str, str, str]:
            answer = await http.post(f"/predict?model={model}", content=pictures[name], headers=JPEG)
            return name, model, repr(answer.json()["predictions"])

        asked = [(name, model) for name in pictures for model in (MODEL, "yolov4-tiny")]
        alone = [await ask(*each) for each in asked]
        together = await asyncio.gather(*(ask(*each) for each in asked * 3))

    assert set(together) == set(alone)
    assert len(set(alone)) == len(asked)


async def test_a_deadline_is_kept_and_costs_the_others_nothing(one: RunningServer, cat: bytes) -> None:
    async with httpx.AsyncClient(base_url=one.url, timeout=PATIENCE_S, trust_env=False) as http:
        answers = await asyncio.gather(
            *(
                http.post(
                    f"/predict?model={MODEL}",
                    content=cat,
                    headers=JPEG | ({"x-request-timeout-ms": "1"} if number % 2 else {}),
                )
                for number in range(20)
            )
        )

    assert [each.status_code for each in answers[::2]] == [200] * 10
    assert {read_http(each).code for each in answers[1::2]} == {"DEADLINE_EXCEEDED"}


async def test_too_much_is_refused_and_the_rest_is_answered(model_dir: Path, cat: bytes) -> None:
    flags = [f"--model_dir={model_dir}", "--max_queue_rows=4"]
    with running_server("edge", flags) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S, trust_env=False) as http:
            answers = await asyncio.gather(*(http.post("/predict", content=cat, headers=JPEG) for _ in range(64)))
            after = await http.post("/predict", content=cat, headers=JPEG)

    met = Counter(each.status_code for each in answers)
    assert met.keys() == {200, 429}, met
    assert all("retry-after" in each.headers for each in answers if each.status_code == 429)
    assert after.status_code == 200


@pytest.fixture(scope="module")
def controlled(repository: Path) -> Iterator[Client]:
    """One process before a repository with broken models in it, that may be changed."""
    with running_server("edge", [f"--model_dir={repository}", "--model_control=true"]) as server:
        client = Client(server)
        yield client
        client.close()


def label(client: Client, picture: bytes, query: str) -> str:
    answer = client.post(f"/predict?{query}", content=picture, headers=JPEG)
    return answer.label or answer.code


def test_broken_models_fail_at_once_with_their_own_words_and_the_others_are_served(
    controlled: Client, cat: bytes
) -> None:
    assert controlled.get("/ready").status == 200
    for version, said in LABELS.items():
        assert label(controlled, cat, f"model={SEVERAL}&version={version}") == said
    assert label(controlled, cat, f"model={PLAIN}") == "tiger cat"
    index = {line["name"]: line for line in controlled.http.post("/v2/repository/index").json()}
    for name, said in (
        (BAD_CONTRACT, "CONTRACT_INVALID: "),
        (BAD_GRAPH, "MODEL_LOAD_FAILED: "),
    ):
        assert index[name]["state"] == "UNAVAILABLE"
        assert index[name]["reason"].startswith(said)
    assert not controlled.stub.ModelReady(pb.ModelReadyRequest(name=BAD_GRAPH)).ready


def test_one_load_and_one_unload_do_both_halves(
    controlled: Client, repository: Path, model_dir: Path, cat: bytes
) -> None:
    folder = repository / "newcomer"
    write_version(folder / "1", model_dir, "newcomer one")
    try:
        loaded = controlled.post("/v2/repository/models/newcomer/load")
        assert loaded.is_ok, loaded
        assert label(controlled, cat, "model=newcomer") == "newcomer one"

        write_version(folder / "2", model_dir, "newcomer two")
        assert controlled.post("/v2/repository/models/newcomer/load").is_ok
        assert label(controlled, cat, "model=newcomer") == "newcomer two"
        assert label(controlled, cat, "model=newcomer&version=1") == "newcomer one"

        (folder / "2" / "model.onnx").unlink()
        (folder / "2" / "model.onnx").write_bytes(b"<html>")
        failed = controlled.post("/v2/repository/models/newcomer/load")
        assert (failed.status, failed.code) == (503, "MODEL_LOAD_FAILED")
        assert label(controlled, cat, "model=newcomer") == "newcomer two", "what was served is"

        assert controlled.post("/v2/repository/models/newcomer/unload").is_ok
        assert label(controlled, cat, "model=newcomer") == "MODEL_NOT_FOUND"
    finally:
        shutil.rmtree(folder)


async def test_what_was_accepted_is_answered_when_the_model_is_unloaded(
    controlled: Client, model_dir: Path, repository: Path, cat: bytes
) -> None:
    write_version(repository / "leaver" / "1", model_dir, "leaver")
    try:
        assert controlled.post("/v2/repository/models/leaver/load").is_ok
        async with httpx.AsyncClient(base_url=controlled.http.base_url, timeout=PATIENCE_S, trust_env=False) as http:
            asking = [
                asyncio.create_task(http.post("/predict?model=leaver", content=cat, headers=JPEG)) for _ in range(24)
            ]
            await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            unloaded = await http.post("/v2/repository/models/leaver/unload")
            answers = [read_http(each) for each in await asyncio.gather(*asking)]
    finally:
        shutil.rmtree(repository / "leaver")

    assert unloaded.status_code == 200
    assert {each.label or each.code for each in answers} <= {"leaver", "MODEL_NOT_FOUND"}
    assert answers[0].label == "leaver"


async def test_sigterm_under_load_loses_no_accepted_request(model_dir: Path, cat: bytes) -> None:
    probes: Counter[int] = Counter()
    bodies: set[str] = set()
    with running_server("edge", [f"--model_dir={model_dir}", f"--drain_delay_seconds={DRAIN_S}"]) as server:
        async with load(RunningPair(server, server, server.log), cat) as running:
            probing = asyncio.create_task(readiness(server.url, probes, bodies))
            before = running.done
            code = await asyncio.to_thread(server.process.stop)
        await asyncio.wait_for(probing, PATIENCE_S)

    assert code == 0
    assert running.met.keys() == {"REST 200", "gRPC OK", REFUSED}, running.met
    assert running.met[REFUSED] == 2 * CLIENTS
    assert running.done - before > 2 * CLIENTS, "requests were answered during the drain"
    assert probes[503] > 0
    assert "MODEL_NOT_READY: the server is shutting down" in bodies
    assert {event["code"] for event in server.log.events("edge", "request")} == {"OK"}
    assert server.log.events("edge", "stopped")
    assert "Traceback" not in server.log.text()


def test_sigterm_while_loading_ends_cleanly(model_dir: Path) -> None:
    with running_server("edge", [f"--model_dir={model_dir}"], ready=False) as server:
        code = server.process.stop()

    assert code == 0
    assert server.log.events("edge", "stopped")
    assert "Traceback" not in server.log.text()


def test_it_is_not_ready_while_its_only_model_cannot_be_loaded(tmp_path: Path, model_dir: Path) -> None:
    folder = tmp_path / "model"
    write_version(folder, model_dir)
    (folder / "model.onnx").unlink()
    with running_server("edge", [f"--model_dir={folder}"], ready=False) as server:
        client = Client(server)
        answer = client.ready_once_known()
        client.close()

    assert (answer.status, answer.code) == (503, "MODEL_LOAD_FAILED")
    assert "model.onnx" in answer.message
