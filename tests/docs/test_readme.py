"""The README's examples do what it says: each curl command is run as it stands, but for the ports."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import zoo
from cli.serve import DEFAULT_MODELS
from cli.several import side_by_side
from serving.contract import load_model_directory
from tests.photos import photo, photo_bytes
from tests.servers import MODEL, RunningPair, running_pair

README = Path(__file__).parents[2] / "README.md"


def commands(prefix: str) -> list[str]:
    """The console examples that begin with `prefix`, or pipe into it."""
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    return [block.strip() for block in blocks if re.search(rf"(^|\| ){prefix} ", block, re.MULTILINE)]


CURL = commands("curl")


@pytest.fixture(scope="module")
def pair() -> Iterator[RunningPair]:
    """The servers as `make serve` runs them: with three demo models."""
    with (
        side_by_side([zoo.pull_cached(name) for name in DEFAULT_MODELS], None) as (model_dir, _),
        running_pair(model_dir) as running,
    ):
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photo("chelsea").save(tmp_path / "picture.jpg", quality=95)
    return tmp_path


def run(command: str, folder: Path, pair: RunningPair) -> str:
    here = command.replace("127.0.0.1:8080", pair.transformer.url.removeprefix("http://"))
    done = subprocess.run(
        ["/bin/bash", "-c", here], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def labels(answer: dict[str, Any]) -> list[str]:
    """The labels of a classifier's answer, whichever route it came from."""
    if "outputs" in answer:
        return next(list(output["data"]) for output in answer["outputs"] if output["name"] == "labels")
    results = answer.get("results", [answer])
    return [found["label"] for result in results for found in result["predictions"]]


def test_there_are_examples_to_run() -> None:
    assert len(CURL) >= 4


@pytest.mark.parametrize("command", [command for command in CURL if "model=" not in command])
def test_a_curl_example_answers_a_cat(command: str, folder: Path, pair: RunningPair) -> None:
    found = labels(json.loads(run(command, folder, pair)))
    assert "cat" in found[0]
    assert len(found) == (3 if "top_k=3" in command else 10 if "batch" in command else 5)


def test_the_detector_finds_the_cat_and_draws_it(folder: Path, pair: RunningPair) -> None:
    (command,) = [command for command in CURL if "model=yolov4-tiny" in command]
    first, _ = json.JSONDecoder().raw_decode(run(command, folder, pair))
    assert first["predictions"][0]["label"] == "cat"
    with Image.open(folder / "boxes.jpg") as drawn, Image.open(folder / "picture.jpg") as picture:
        assert drawn.format == "JPEG"
        assert drawn.size == picture.size


def test_the_foreground_is_most_of_the_cat(folder: Path, pair: RunningPair) -> None:
    (command,) = [command for command in CURL if "model=u2netp" in command]
    (segment,) = json.loads(run(command, folder, pair))["predictions"]["segments"]
    assert (segment["label"], round(segment["share"], 1)) == ("foreground", 0.7)
    with Image.open(io.BytesIO(base64.b64decode(segment["mask"]["png"]))) as mask:
        assert mask.size == (451, 300)


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL))
def test_a_python_example_answers_a_cat(snippet: str, folder: Path, pair: RunningPair) -> None:
    here = snippet.replace("127.0.0.1:8080", pair.transformer.url.removeprefix("http://"))
    here = here.replace("127.0.0.1:8081", pair.transformer.grpc)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", here],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tiger cat" in done.stdout


def test_the_command_line_example_prints_a_table(folder: Path, pair: RunningPair) -> None:
    (command,) = commands(".venv/bin/kserve-vision predict")
    command = command.replace(".venv/bin/kserve-vision", str(Path(sys.executable).with_name("kserve-vision")))
    printed = run(f"{command} --url {pair.transformer.url}", folder, pair)
    assert "tiger cat" in printed


def test_the_json_example_is_the_answer(pair: RunningPair, tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(photo_bytes("chelsea"))
    answer = json.loads(run(CURL[0], tmp_path, pair))
    (example,) = re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL)
    assert all(f'"{key}":' in example for key in answer)
    for part in ('"task": "classification"', '"label": "tiger cat", "class_id": 282, "score": 0.3945'):
        assert part in example
    assert round(answer["predictions"][0]["score"], 4) == 0.3945


def test_the_contract_example_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "model.yaml").write_text(example)
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    assert load_model_directory(tmp_path).contract.task == "detection"


def test_the_routes_of_the_readme_are_the_demos() -> None:
    assert f"/v2/models/{MODEL}/infer" in README.read_text()
