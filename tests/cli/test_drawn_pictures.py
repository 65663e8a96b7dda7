from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import zoo
from cli.main import app
from tests.photos import photo_bytes
from tests.servers import RunningPair


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


def picture(folder: Path, name: str = "coffee", file: str = "coffee.png") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / file
    path.write_bytes(photo_bytes(name))
    return path


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture(scope="module")
def detector() -> Path:
    """The demo detector's model directory."""
    return zoo.pull_cached("yolov4-tiny")


def test_a_server_and_this_process_draw_the_same(pair: RunningPair, model_dir: Path, tmp_path: Path) -> None:
    coffee = picture(tmp_path)
    by_server = run("predict", "--url", pair.transformer.url, "--save", tmp_path / "server", coffee)
    in_process = run("predict", "--model", model_dir, "--save", tmp_path / "process", coffee)
    assert by_server.exit_code == in_process.exit_code == 0
    assert (tmp_path / "server/coffee.jpg").read_bytes() == (tmp_path / "process/coffee.jpg").read_bytes()
    assert str(tmp_path / "server" / "coffee.jpg") in by_server.stdout


def test_json_names_the_drawn_picture(pair: RunningPair, tmp_path: Path) -> None:
    coffee = picture(tmp_path)
    result = run("predict", "--json", "--url", pair.transformer.url, "--save", tmp_path / "out", coffee)
    assert json.loads(result.stdout)["drawn"] == str(tmp_path / "out" / "coffee.jpg")


def test_detections_are_a_table_of_boxes_and_drawn(detector: Path, tmp_path: Path) -> None:
    shown = run("predict", "--model", detector, "--save", tmp_path / "out", picture(tmp_path))
    header, cup, *_ = (line.split() for line in shown.stdout.splitlines()[1:])
    assert header == ["label", "class", "score", "xmin", "ymin", "xmax", "ymax"]
    assert cup[:2] == ["cup", "41"]
    assert [int(edge) for edge in cup[-4:]] == pytest.approx([167, 14, 411, 288], abs=2)
    assert size_of(tmp_path / "out" / "coffee.jpg") == (600, 400)


def test_nothing_found_is_said(detector: Path, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (300, 200), (128, 128, 128)).save(grey)
    shown = run("predict", "--model", detector, "--save", tmp_path, grey)
    assert "nothing was found" in shown.stdout
    assert size_of(tmp_path / "grey.jpg")[1] > 400  # enlarged, and with a line that says so


def test_no_picture_is_written_over_and_names_that_are_there_twice_are_numbered(
    model_dir: Path, tmp_path: Path
) -> None:
    first, second = picture(tmp_path / "a"), picture(tmp_path / "b", "chelsea")
    original = picture(tmp_path, "astronaut", "coffee.jpg")
    before = original.read_bytes()
    result = run("predict", "--json", "--model", model_dir, "--save", tmp_path, first, second, original)
    drawn = [Path(json.loads(line)["drawn"]).name for line in result.stdout.splitlines()]
    assert drawn == ["coffee-2.jpg", "coffee-3.jpg", "coffee-4.jpg"]
    assert original.read_bytes() == before


def test_a_file_that_is_no_picture_is_not_drawn(pair: RunningPair, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a picture")
    result = run("predict", "--url", pair.transformer.url, "--save", tmp_path / "out", tmp_path / "notes.txt")
    assert result.exit_code == 1
    assert "IMAGE_UNSUPPORTED" in result.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(model_dir: Path, tmp_path: Path) -> None:
    coffee = picture(tmp_path)
    result = run("predict", "--model", model_dir, "--save", coffee, coffee)
    assert result.exit_code == 1
    assert str(coffee) in result.stderr
    assert "Traceback" not in result.output


def test_a_model_that_the_server_does_not_have_is_said(pair: RunningPair, tmp_path: Path) -> None:
    result = run("predict", "--url", pair.transformer.url, "--name", "dogs", picture(tmp_path))
    assert result.exit_code == 1
    assert "MODEL_NOT_FOUND" in result.stderr
