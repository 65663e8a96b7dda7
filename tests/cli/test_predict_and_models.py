from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from serving.version import __version__
from tests.photos import PHOTOS, photo_bytes
from tests.servers import RunningPair
from tests.unit.predictor.graphs import classifier, directory


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in PHOTOS]
    for path in paths:
        path.write_bytes(photo_bytes(path.name))
    return paths


@pytest.fixture
def no_picture(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("not a picture")
    return path


def outcomes(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_server_and_this_process_say_the_same(pair: RunningPair, model_dir: Path, pictures: list[Path]) -> None:
    by_server = run("predict", "--json", "--url", pair.transformer.url, *pictures)
    in_process = run("predict", "--json", "--model", model_dir, *pictures)
    assert by_server.exit_code == in_process.exit_code == 0
    assert outcomes(by_server) == outcomes(in_process)


def test_a_table_shows_labels_and_scores(pair: RunningPair, pictures: list[Path]) -> None:
    shown = run("predict", "--url", pair.transformer.url, "--top-k", "2", pictures[1])
    assert shown.exit_code == 0
    assert str(pictures[1]) in shown.stdout
    assert "espresso" in shown.stdout
    assert "0.9511" in shown.stdout


@pytest.mark.parametrize("where", ["server", "process"])
def test_a_file_that_is_no_picture_costs_the_others_nothing(
    pair: RunningPair, model_dir: Path, pictures: list[Path], no_picture: Path, where: str
) -> None:
    how = ["--url", pair.transformer.url] if where == "server" else ["--model", str(model_dir)]
    result = run("predict", "--json", *how, pictures[0], no_picture, pictures[1])
    assert result.exit_code == 1
    first, refused, last = outcomes(result)
    assert "predictions" in first
    assert "predictions" in last
    assert str(refused["error"]).startswith("IMAGE_UNSUPPORTED: ")


def test_a_server_that_is_not_there_is_said_in_a_sentence(pictures: list[Path]) -> None:
    result = run("predict", "--url", "http://127.0.0.1:9", pictures[0])
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
    assert "kserve-vision serve" in result.stderr


def test_a_picture_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    assert run("predict", tmp_path / "none.jpg").exit_code == 2


def test_models_are_listed_with_their_licence_and_digest() -> None:
    listed = run("models", "list").stdout
    assert "efficientnet-lite0  classification  Apache-2.0" in listed
    assert "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be" in listed


def test_a_model_is_pulled_into_a_directory(tmp_path: Path) -> None:
    destination = tmp_path / "classifier"
    result = run("models", "pull", "efficientnet-lite0", destination)
    assert result.exit_code == 0
    assert result.stdout.strip() == str(destination)
    assert {path.name for path in destination.iterdir()} == {"model.onnx", "model.yaml", "labels.txt"}


def test_a_model_that_nobody_knows_is_refused_by_name(tmp_path: Path) -> None:
    result = run("models", "pull", "efficientnet", tmp_path / "x")
    assert result.exit_code == 1
    assert "efficientnet-lite0" in result.stderr


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.strip() == f"kserve-vision {__version__}"


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_model_without_a_contract_is_sent_to_inspect(tmp_path: Path, pictures: list[Path], what: str) -> None:
    (tmp_path / "bare").mkdir()
    path = tmp_path / "bare" / "yolo.onnx"
    path.write_bytes(b"onnx")
    for command in ("predict", "serve"):
        bare = str(path if what == "file" else path.parent)
        done = run("predict", "--model", bare, pictures[0]) if command == "predict" else run("serve", bare)
        assert done.exit_code == 1
        assert f"`kserve-vision inspect {bare}` first" in done.output


def test_numbers_that_cannot_be_drawn_are_printed_all_the_same(tmp_path: Path, pictures: list[Path]) -> None:
    folder = directory(tmp_path / "raw", classifier())
    done = run("predict", "--model", folder, pictures[0], "--save", tmp_path / "drawn", "--json")
    assert done.exit_code == 0, done.output
    assert "logits" in json.loads(done.stdout)["predictions"]
    assert not list((tmp_path / "drawn").glob("*"))
