"""Loading and unloading while the servers run: what is not touched does not notice, and nothing accepted is lost."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest

from serving.sdk import pb, pb_grpc
from tests.repository import SEVERAL, write_version
from tests.servers import HOST, MODEL, RunningPair, running_server

from .doors import Answer, Client, picture_request, read_http, read_rpc_error

GUEST = "guest"
PATIENCE_S = 20.0
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def clients(repository_pair: RunningPair) -> Iterator[dict[str, Client]]:
    """Connections to both servers, by their names."""
    clients = {name: Client(getattr(repository_pair, name)) for name in ("predictor", "transformer")}
    yield clients
    for each in clients.values():
        each.close()


@pytest.fixture
def guest(repository: Path, model_dir: Path, clients: dict[str, Client]) -> Iterator[Path]:
    """A model that comes after the servers were started, in version 1, and goes with the test."""
    folder = repository / GUEST
    write_version(folder / "1", model_dir, "guest one")
    yield folder
    shutil.rmtree(folder)
    for each in clients.values():
        change(each, "unload")


def change(client: Client, action: str, name: str = GUEST) -> Answer:
    return read_http(client.http.post(f"/v2/repository/models/{name}/{action}"))


def load_both(clients: dict[str, Client]) -> list[Answer]:
    """Load the guest where it must be first, and then before it."""
    return [change(clients["predictor"], "load"), change(clients["transformer"], "load")]


def label(client: Client, picture: bytes, version: str = "") -> str:
    """What the guest calls a cat, or why it does not."""
    query = f"?model={GUEST}" + (f"&version={version}" if version else "")
    answer = client.post(f"/predict{query}", content=picture, headers=JPEG)
    return answer.label or answer.code


def test_a_model_is_loaded_and_unloaded_over_rest(guest: Path, clients: dict[str, Client], cat: bytes) -> None:
    assert guest.is_dir()
    assert label(clients["transformer"], cat) == "MODEL_NOT_FOUND"

    loaded = clients["predictor"].http.post(f"/v2/repository/models/{GUEST}/load")
    assert loaded.json() == {"name": GUEST, "load": True}
    assert change(clients["transformer"], "load").is_ok
    assert label(clients["transformer"], cat) == "guest one"

    unloaded = clients["transformer"].http.post(f"/v2/repository/models/{GUEST}/unload")
    assert unloaded.json() == {"name": GUEST, "unload": True}
    assert label(clients["transformer"], cat) == "MODEL_NOT_FOUND"
    assert clients["predictor"].get(f"/v2/models/{GUEST}/ready").is_ok, "each server's models are its own"
    index = clients["transformer"].http.post("/v2/repository/index").json()
    assert {"name": GUEST, "version": "1", "state": "UNAVAILABLE", "reason": "not loaded"} in index


def test_a_model_is_loaded_and_unloaded_over_grpc(guest: Path, clients: dict[str, Client], cat: bytes) -> None:
    assert guest.is_dir()
    for each in clients.values():
        loaded = each.stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=GUEST))
        assert (loaded.model_name, loaded.isLoaded) == (GUEST, True)
    assert clients["transformer"].call(picture_request(cat, model=GUEST)).label == "guest one"

    for each in clients.values():
        unloaded = each.stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=GUEST))
        assert (unloaded.model_name, unloaded.isUnloaded) == (GUEST, True)
        call = each.stub.RepositoryModelUnload.future(pb.RepositoryModelUnloadRequest(model_name=GUEST))
        assert read_rpc_error(call.exception()).code == "MODEL_NOT_FOUND"


def test_a_new_version_is_the_default_once_it_is_loaded_and_the_old_one_stays(
    guest: Path, model_dir: Path, clients: dict[str, Client], cat: bytes
) -> None:
    load_both(clients)
    write_version(guest / "2", model_dir, "guest two")
    assert label(clients["transformer"], cat) == "guest one"

    assert all(answer.is_ok for answer in load_both(clients))

    assert [label(clients["transformer"], cat, version) for version in ("", "1", "2")] == [
        "guest two",
        "guest one",
        "guest two",
    ]


def test_a_version_that_was_taken_away_goes_with_the_next_load(
    guest: Path, model_dir: Path, clients: dict[str, Client], cat: bytes
) -> None:
    write_version(guest / "2", model_dir, "guest two")
    load_both(clients)
    shutil.rmtree(guest / "2")
    load_both(clients)

    assert label(clients["transformer"], cat) == "guest one"
    assert label(clients["transformer"], cat, "2") == "VERSION_NOT_FOUND"


def test_a_load_that_fails_answers_the_reason_and_what_was_served_is(
    guest: Path, model_dir: Path, clients: dict[str, Client], cat: bytes
) -> None:
    load_both(clients)
    contract = write_version(guest / "2", model_dir) / "model.yaml"
    contract.write_text("task: classification\n")

    for answer in load_both(clients):
        assert (answer.status, answer.code) == (503, "CONTRACT_INVALID")
        assert "guest/2/model.yaml" in answer.message

    assert label(clients["transformer"], cat) == "guest one"
    assert label(clients["transformer"], cat, "2") == "CONTRACT_INVALID"


def test_a_transformer_is_told_to_load_its_predictors_model_first(
    guest: Path, clients: dict[str, Client], cat: bytes
) -> None:
    assert guest.is_dir()
    answer = change(clients["transformer"], "load")

    assert (answer.status, answer.code) == (503, "MODEL_LOAD_FAILED")
    assert "the predictor does not serve it, and must first" in answer.message
    assert "MODEL_NOT_FOUND" in answer.message
    assert all(answer.is_ok for answer in load_both(clients))
    assert label(clients["transformer"], cat) == "guest one"


def test_a_load_whose_predictor_is_away_is_answered_in_time_and_goes_on(model_dir: Path) -> None:
    flags = ["--model_control=true", "--load_timeout_seconds=0.2", f"--predictor_host={HOST}:1"]
    with running_server("transformer", [f"--model_dir={model_dir}", *flags], ready=False) as server:
        client = Client(server)
        over_rest = change(client, "load", MODEL)
        over_grpc = client.stub.RepositoryModelLoad.future(pb.RepositoryModelLoadRequest(model_name=MODEL)).exception()
        (line,) = client.http.post("/v2/repository/index").json()
        client.close()

    for answer in (over_rest, read_rpc_error(over_grpc)):
        assert answer.code == "DEADLINE_EXCEEDED"
        assert "still being loaded, which goes on" in answer.message
    assert line["state"] == "LOADING"
    assert "PREDICTOR_UNAVAILABLE" in line["reason"]


def test_a_load_takes_no_parameters(clients: dict[str, Client]) -> None:
    answer = clients["predictor"].post(
        f"/v2/repository/models/{SEVERAL}/load", json={"parameters": {"config": "{}", "file:1/model.onnx": "AAAA"}}
    )

    assert (answer.status, answer.code) == (400, "REQUEST_INVALID")


def test_where_it_is_not_allowed_the_refusal_names_the_setting(pair: RunningPair) -> None:
    for server in (pair.transformer, pair.predictor):
        client = Client(server)
        for action in ("load", "unload"):
            answer = change(client, action, "anything")
            assert (answer.status, answer.code) == (403, "REPOSITORY_CLOSED")
            assert "MODEL_CONTROL=true" in answer.message
        client.close()


@asynccontextmanager
async def traffic(pair: RunningPair, model: str, picture: bytes, clients: int = 2) -> AsyncIterator[Counter[str]]:
    """Ask one model over REST and gRPC, one request after another, until the block ends; what came back, counted."""
    met: Counter[str] = Counter()
    over = asyncio.Event()

    async def rest(http: httpx.AsyncClient) -> None:
        while not over.is_set():
            answer = read_http(await http.post(f"/predict?model={model}", content=picture, headers=JPEG))
            met[answer.label or answer.code] += 1

    async def rpc(stub: pb_grpc.GRPCInferenceServiceStub) -> None:
        while not over.is_set():
            try:
                await stub.ModelInfer(picture_request(picture, model=model), timeout=PATIENCE_S)
            except grpc.aio.AioRpcError as error:
                met[read_rpc_error(error).code] += 1
            else:
                met["gRPC OK"] += 1

    server = pair.transformer
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S, trust_env=False) as http,
        grpc.aio.insecure_channel(server.grpc) as channel,
        asyncio.TaskGroup() as tasks,
    ):
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        for _ in range(clients):
            tasks.create_task(rest(http))
            tasks.create_task(rpc(stub))
        yield met
        over.set()


async def test_other_models_do_not_notice(
    repository_pair: RunningPair, guest: Path, model_dir: Path, clients: dict[str, Client], cat: bytes
) -> None:
    async with traffic(repository_pair, SEVERAL, cat) as met:
        await asyncio.to_thread(load_both, clients)
        write_version(guest / "2", model_dir, "guest two")
        await asyncio.to_thread(load_both, clients)
        for name in ("transformer", "predictor"):
            await asyncio.to_thread(change, clients[name], "unload")

    assert met.keys() == {"second cat", "gRPC OK"}, met


async def test_the_model_itself_loses_nothing_while_it_is_replaced_and_nothing_accepted_when_it_goes(
    repository_pair: RunningPair, guest: Path, model_dir: Path, clients: dict[str, Client], cat: bytes
) -> None:
    load_both(clients)
    before = len(repository_pair.log.lines)
    async with traffic(repository_pair, GUEST, cat) as met:
        write_version(guest / "2", model_dir, "guest two")
        await asyncio.to_thread(load_both, clients)
        shutil.rmtree(guest / "1")
        for name in ("transformer", "predictor"):
            await asyncio.to_thread(change, clients[name], "load")
        replaced = Counter(met)
        await asyncio.to_thread(change, clients["transformer"], "unload")

    assert replaced.keys() <= {"guest one", "guest two", "gRPC OK"}, replaced
    assert replaced["gRPC OK"] > 0
    assert met.keys() <= {"guest one", "guest two", "gRPC OK", "MODEL_NOT_FOUND"}, met
    news = "\n".join(line for _, line in repository_pair.log.lines[before:])
    assert "unforeseen" not in news
    assert "Traceback" not in news
