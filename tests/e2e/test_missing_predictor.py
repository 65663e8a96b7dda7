"""A transformer whose predictor is not there yet, comes, goes, and comes back: one run, looked at five times."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from serving.sdk import pb
from tests.servers import HOST, MODEL, RunningServer, running_server

from .doors import Answer, Client, raw_body, v1, v2_grpc

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Look:
    """What a transformer says at one time."""

    predict: Answer
    over_v1: Answer
    over_grpc: Answer
    live: int | grpc.StatusCode
    ready: Answer
    model_ready: Answer
    grpc_ready: tuple[bool, bool]
    grpc_live: bool


def look(client: Client, picture: bytes) -> Look:
    return Look(
        predict=raw_body(client, picture),
        over_v1=v1(client, picture),
        over_grpc=v2_grpc(client, picture),
        live=client.get("/v2/health/live").status,
        ready=client.get("/ready"),
        model_ready=client.get(f"/v2/models/{MODEL}/ready"),
        grpc_ready=(
            client.stub.ServerReady(pb.ServerReadyRequest()).ready,
            client.stub.ModelReady(pb.ModelReadyRequest(name=MODEL)).ready,
        ),
        grpc_live=client.stub.ServerLive(pb.ServerLiveRequest()).live,
    )


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def looks(model_dir: Path, cat: bytes) -> Iterator[dict[str, Look]]:
    with socket.create_server((HOST, 0)) as reserved:
        port = reserved.getsockname()[1]
    model = f"--model_dir={model_dir}"
    predictor = [model, f"--grpc_port={port}", "--http_port=0"]
    found: dict[str, Look] = {}
    with running_server("transformer", [model, f"--predictor_host={HOST}:{port}"], ready=False) as transformer:
        client = Client(transformer)
        wait(lambda: _waits_for_its_predictor(transformer, client))
        found["before"] = look(client, cat)
        with running_server("predictor", predictor):
            transformer.process.wait_ready(HOST)
            found["with"] = look(client, cat)
        found["without"] = look(client, cat)
        with running_server("predictor", predictor):
            wait(lambda: client.get("/ready").is_ok)
            found["again"] = look(client, cat)
        client.close()
        assert transformer.process.exit_code is None
        assert "Traceback" not in transformer.log.text()
        yield found


def _waits_for_its_predictor(transformer: RunningServer, client: Client) -> bool:
    return bool(transformer.log.events("transformer", "waiting for the predictor")) and not client.get("/ready").is_ok


@pytest.mark.parametrize("time_of_day", ["before", "without"])
def test_without_its_predictor_the_transformer_lives_and_is_not_ready(looks: dict[str, Look], time_of_day: str) -> None:
    seen = looks[time_of_day]

    assert (seen.live, seen.grpc_live) == (200, True)
    assert (seen.ready.status, seen.model_ready.status, seen.grpc_ready) == (503, 503, (False, False))


def test_before_its_predictor_comes_a_request_is_told_what_is_waited_for(looks: dict[str, Look]) -> None:
    seen = looks["before"]

    for answer in (seen.predict, seen.over_v1, seen.over_grpc, seen.ready):
        assert answer.status in (503, grpc.StatusCode.UNAVAILABLE)
        assert answer.code == "MODEL_NOT_READY"
        assert "waits for its predictor: PREDICTOR_UNAVAILABLE" in answer.message


@pytest.mark.parametrize("time_of_day", ["with", "again"])
def test_with_its_predictor_the_transformer_is_ready_and_answers(looks: dict[str, Look], time_of_day: str) -> None:
    seen = looks[time_of_day]

    assert (seen.ready.status, seen.model_ready.status, seen.grpc_ready) == (200, 200, (True, True))
    assert [a.label for a in (seen.predict, seen.over_v1, seen.over_grpc)] == ["tiger cat"] * 3


def test_once_its_predictor_is_gone_a_request_is_told_so(looks: dict[str, Look]) -> None:
    seen = looks["without"]

    for answer in (seen.predict, seen.over_v1, seen.over_grpc, seen.ready):
        assert answer.status in (503, grpc.StatusCode.UNAVAILABLE)
        assert answer.code == "PREDICTOR_UNAVAILABLE"
        assert HOST in answer.message
