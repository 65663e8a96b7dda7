"""What was asked before does not reach the predictor, in front of real servers."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from serving.sdk import pb
from tests.photos import encoded, photo
from tests.repository import write_version
from tests.servers import MODEL, RunningPair, running_pair

from .doors import DOORS, REST_DOORS, Client, Door, raw_body, read_http

JPEG = {"content-type": "image/jpeg"}
CALLERS = 24


@pytest.fixture(scope="module")
def root(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of one model in version 1."""
    root = tmp_path_factory.mktemp("cached")
    write_version(root / MODEL / "1", model_dir)
    return root


@pytest.fixture(scope="module")
def cached_pair(root: Path) -> Iterator[RunningPair]:
    """Both servers before that repository, with a cache, and loading over the network."""
    control = "--model_control=true"
    with running_pair(root, [control], [control, "--cache_mb=1"]) as running:
        yield running


@pytest.fixture(scope="module")
def client(cached_pair: RunningPair) -> Iterator[Client]:
    client = Client(cached_pair.transformer)
    yield client
    client.close()


@pytest.fixture
def new_picture(tmp_path: Path) -> bytes:
    """A photograph of a cat that no other test has sent."""
    with Image.open(io.BytesIO(encoded(photo("chelsea"), "PNG"))) as cat:
        written = io.BytesIO()
        cat.convert("RGB").save(written, "JPEG", comment=str(tmp_path).encode())
    return written.getvalue()


def counted(server_url: str, metric: str) -> int:
    """The sum of a metric over all its labels."""
    text = httpx.get(f"{server_url}/metrics", trust_env=False).text
    return sum(int(float(value)) for value in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def inferred(pair: RunningPair) -> int:
    """How many inference requests have reached the predictor."""
    return counted(pair.predictor.url, "kserve_vision_requests_total")


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_the_same_picture_reaches_the_predictor_once_and_is_answered_the_same(
    cached_pair: RunningPair, client: Client, new_picture: bytes, door: Door
) -> None:
    before = inferred(cached_pair)
    first, second = door(client, new_picture), door(client, new_picture)

    assert (first.is_ok, first.label) == (True, "tiger cat")
    assert (second.status, second.label) == (first.status, first.label)
    assert first.ids != second.ids
    assert inferred(cached_pair) == before + 1


def test_what_one_door_has_asked_the_others_know(cached_pair: RunningPair, client: Client, new_picture: bytes) -> None:
    before = inferred(cached_pair)

    assert {door(client, new_picture).label for door in REST_DOORS} == {"tiger cat"}
    assert inferred(cached_pair) == before + 1


def test_an_answer_from_the_cache_is_like_any_other_but_for_its_stages(client: Client, new_picture: bytes) -> None:
    first, second = (client.http.post("/predict?top_k=3", content=new_picture, headers=JPEG).json() for _ in range(2))
    more = client.http.post("/predict?top_k=5", content=new_picture, headers=JPEG).json()

    assert {"preprocess", "predictor"} <= first.pop("timing_ms").keys()
    assert second.pop("timing_ms").keys() == {"cache", "postprocess"}
    assert first.pop("request_id") != second.pop("request_id")
    assert first == second
    assert len(more["predictions"]) == 5
    assert more["predictions"][:3] == first["predictions"]


def test_a_batch_asks_only_of_what_is_not_known(cached_pair: RunningPair, client: Client, new_picture: bytes) -> None:
    coffee = encoded(photo("coffee"), "JPEG")
    raw_body(client, new_picture)
    rows = counted(cached_pair.predictor.url, "kserve_vision_request_rows_sum")

    files = [("files", ("photo.jpg", each)) for each in (coffee, new_picture, coffee)]
    results = client.http.post("/predict/batch", files=files).json()["results"]

    labels = [each["predictions"][0]["label"] for each in results]
    assert (labels[0], labels[1], labels[2]) == (labels[2], "tiger cat", labels[0])
    assert [each["image"]["width"] for each in results] == [600, 451, 600]
    assert counted(cached_pair.predictor.url, "kserve_vision_request_rows_sum") == rows + 1


def test_a_bad_picture_is_refused_each_time(client: Client, new_picture: bytes) -> None:
    answers = [raw_body(client, new_picture[:2000]) for _ in range(2)]

    assert {answer.code for answer in answers} == {"IMAGE_CORRUPT"}


def test_many_who_ask_the_same_at_once_are_all_answered_and_asked_for_once_each(
    cached_pair: RunningPair, new_picture: bytes
) -> None:
    url = cached_pair.transformer.url
    names = [f"kserve_vision_{name}_total" for name in ("cache_hits", "collapsed_pictures")]
    before, known = inferred(cached_pair), sum(counted(url, name) for name in names)

    async def ask_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
            asking = (http.post("/predict", content=new_picture, headers=JPEG) for _ in range(CALLERS))
            return await asyncio.gather(*asking)

    answers = [read_http(response) for response in asyncio.run(ask_all())]

    assert {answer.label for answer in answers} == {"tiger cat"}
    assert len({answer.ids["x-request-id"] for answer in answers}) == CALLERS
    assert inferred(cached_pair) == before + 1
    assert sum(counted(url, name) for name in names) == known + CALLERS - 1


def load(client: Client) -> None:
    client.stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=MODEL))


def test_a_model_that_has_changed_and_is_loaded_anew_is_asked_anew(
    root: Path, cached_pair: RunningPair, client: Client, new_picture: bytes
) -> None:
    raw_body(client, new_picture)
    before = inferred(cached_pair)
    load(client)
    assert raw_body(client, new_picture).label == "tiger cat"
    assert inferred(cached_pair) == before, "nothing has changed, and so nothing was loaded"

    with (root / MODEL / "1" / "model.yaml").open("a") as contract:
        contract.write("# another file\n")
    load(client)
    before = inferred(cached_pair)

    assert [raw_body(client, new_picture).label for _ in range(2)] == ["tiger cat"] * 2
    assert inferred(cached_pair) == before + 1


def test_a_model_that_is_unloaded_leaves_nothing(cached_pair: RunningPair, client: Client, new_picture: bytes) -> None:
    raw_body(client, new_picture)
    url = cached_pair.transformer.url
    assert counted(url, "kserve_vision_cache_entries") >= 1

    client.stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=MODEL))

    assert counted(url, "kserve_vision_cache_entries") == 0
    assert counted(url, "kserve_vision_cache_bytes") == 0
    load(client)
    before = inferred(cached_pair)
    assert raw_body(client, new_picture).label == "tiger cat"
    assert inferred(cached_pair) == before + 1


def test_it_is_off_unless_it_is_asked_for(pair: RunningPair, new_picture: bytes) -> None:
    before = inferred(pair)
    for _ in range(2):
        httpx.post(f"{pair.transformer.url}/predict", content=new_picture, headers=JPEG, trust_env=False)

    assert inferred(pair) == before + 2
    assert "kserve_vision_cache" not in httpx.get(f"{pair.transformer.url}/metrics", trust_env=False).text
