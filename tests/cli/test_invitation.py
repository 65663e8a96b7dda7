from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import httpx

from cli.invitation import invitation
from cli.processes import Asked, Ports, ask_models
from tests.photos import photo_bytes
from tests.repository import BAD_CONTRACT, BAD_GRAPH, PLAIN, SEVERAL
from tests.servers import HOST, RunningPair

PORTS = Ports(8080, 8081)
PREDICTOR = Ports(8090, 8091)


def invited(models: Sequence[Asked], ports: Ports = PORTS) -> str:
    return invitation(HOST, models, [Path("/models/cats")], ports, PREDICTOR)


def test_a_single_model_is_asked_without_its_name() -> None:
    text = invited([Asked("cats", "", is_default=True)])
    assert "cats is served; try:" in text
    assert "  curl -F file=@picture.jpg http://127.0.0.1:8080/predict\n" in text
    assert "kserve-vision predict picture.jpg --url http://127.0.0.1:8080\n" in text


def test_several_models_have_a_line_each_and_the_command_asks_the_default() -> None:
    text = invited([Asked("dogs", "", is_default=True), Asked("cats", "", is_default=False)])
    assert "dogs and cats are served; try:" in text
    for name in ("dogs", "cats"):
        assert f"  curl -F file=@picture.jpg 'http://127.0.0.1:8080/predict?model={name}'\n" in text
    assert "kserve-vision predict picture.jpg" in text


def test_models_without_a_default_are_asked_by_their_names_alone() -> None:
    text = invited([Asked(name, "", is_default=False) for name in ("birds", "cats", "dogs")])
    assert "birds, cats and dogs are served; try:" in text
    assert "kserve-vision predict" not in text


def test_the_addresses_of_both_servers_are_told_and_where_the_model_lies() -> None:
    text = invited([Asked("cats", "", is_default=True)])
    assert "transformer  REST 127.0.0.1:8080  gRPC 127.0.0.1:8081\n" in text
    assert "predictor    REST 127.0.0.1:8090  gRPC 127.0.0.1:8091\n" in text
    assert "model        /models/cats\n" in text


def test_a_repository_is_invited_to_by_a_line_for_each_of_its_models_that_answers(repository_pair: RunningPair) -> None:
    transformer = repository_pair.transformer
    models = ask_models(HOST, transformer.ports)
    assert {model.name for model in models if model.reason} >= {BAD_CONTRACT, BAD_GRAPH}

    text = invited([model for model in models if not model.reason], transformer.ports)

    urls = {shlex.split(line)[-1] for line in text.splitlines() if line.startswith("  curl")}
    assert urls >= {f"{transformer.url}/predict?model={name}" for name in (SEVERAL, PLAIN)}
    for url in urls:
        answer = httpx.post(url, files={"file": photo_bytes("coffee")}, timeout=60).json()
        assert answer["model"]["name"] == url.partition("model=")[2]
