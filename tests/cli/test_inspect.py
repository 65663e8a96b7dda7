from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from cli.main import app
from serving.contract import load_model_directory
from tests.photos import photo_bytes
from tests.unit.inspection.exports import Export, Out, ultralytics
from tests.unit.inspection.families import FAMILIES


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)], env={"COLUMNS": "140"})


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    return FAMILIES["Ultralytics YOLOv8"].export.write(tmp_path)


@pytest.fixture
def bare(model_dir: Path, tmp_path: Path) -> Path:
    """The demo classifier without its contract: the file and its labels."""
    shutil.copy(model_dir / "model.onnx", tmp_path / "found.onnx")
    shutil.copy(model_dir / "labels.txt", tmp_path)
    return tmp_path / "found.onnx"


@pytest.fixture
def coffee(tmp_path: Path) -> Path:
    path = tmp_path / "coffee.png"
    path.write_bytes(photo_bytes("coffee"))
    return path


def test_what_can_be_told_is_written(yolo: Path) -> None:
    result = run(yolo)
    assert result.exit_code == 0
    assert "`names` in the file's metadata" in result.stdout
    assert "AGPL-3.0" in result.stdout
    assert f"wrote {yolo.parent / 'model.yaml'}" in result.stdout
    assert f"next: kserve-vision serve {yolo.parent}" in result.stdout
    assert load_model_directory(yolo.parent).contract.task == "detection"


def test_what_cannot_be_told_is_asked_and_nothing_is_written(bare: Path) -> None:
    result = run(bare)
    assert result.exit_code == 3
    assert "? What numbers were pixels in training?" in result.stdout
    assert f"kserve-vision inspect {bare} --normalize imagenet" in result.stdout
    assert not (bare.parent / "model.yaml").exists()


def test_the_command_that_is_shown_works(bare: Path) -> None:
    shown = next(line for line in run(bare).stdout.splitlines() if line.strip().startswith("kserve-vision inspect"))
    result = run(*shown.split()[2:])
    assert result.exit_code == 0
    assert load_model_directory(bare.parent).contract.input.normalize.mean == (0.485, 0.456, 0.406)


def test_the_command_that_is_shown_keeps_the_options_that_were_typed(bare: Path) -> None:
    labels = str(bare.parent / "labels.txt")
    typed = ["--labels", labels, "--set", "top_k=3", "--set", "confidence_threshold=0.1"]
    shown = f"kserve-vision inspect {bare} {' '.join(typed)} --normalize imagenet\n"
    assert shown in run(bare, *typed, "--dry-run").stdout


def test_guesses_are_accepted_where_that_is_said_and_marked(bare: Path) -> None:
    assert run(bare, "--accept-guesses").exit_code == 0
    assert "# GUESSED: usual in classifiers trained with PyTorch" in (bare.parent / "model.yaml").read_text()


def test_numbers_are_taken_from_the_command_line(bare: Path) -> None:
    flags = ["--scale", "1", "--mean", "127", "--std", "128,128,128", "--interpolation", "bicubic", "--license", "MIT"]
    assert run(bare, *flags).exit_code == 0
    contract = yaml.safe_load((bare.parent / "model.yaml").read_text())
    assert contract["input"]["normalize"] == {"scale": 1.0, "mean": [127.0], "std": [128.0, 128.0, 128.0]}
    assert contract["input"]["resize"]["interpolation"] == "bicubic"
    assert contract["model"]["license"] == "MIT"


def test_a_dry_run_writes_nothing(yolo: Path) -> None:
    assert run(yolo, "--dry-run").exit_code == 0
    assert not (yolo.parent / "model.yaml").exists()


def test_machines_get_one_object(yolo: Path) -> None:
    said = json.loads(run(yolo, "--json", "--output", yolo.parent / "served").stdout)
    assert said["contract"]["output"] == {"decoder": "yolov8"}
    assert said["directory"] == str(yolo.parent / "served")
    assert {"key": "input.color", "value": "rgb", "sure": "derived", "source": "usual in Ultralytics' exports",
            "conflicts": []} in said["conclusions"]  # fmt: skip
    assert said["questions"] == []
    assert any("AGPL-3.0" in trap for trap in said["traps"])


def test_machines_get_the_questions(bare: Path) -> None:
    result = run(bare, "--json")
    assert result.exit_code == 3
    said = json.loads(result.stdout)
    assert said["written"] == []
    assert said["questions"][0]["choices"][0]["option"] == "--normalize imagenet"


def test_what_a_file_says_cannot_steer_a_terminal(tmp_path: Path) -> None:
    evil = "\x1b[2J\x1b]0;title\x07 [bold]x[/bold]"
    names = {number: f"{evil}{number}" for number in range(3)}
    export = Export(
        [Out(f"out{evil}", (1, 7, 8400))],
        name=f"in{evil}",
        producer=evil,
        metadata=ultralytics("detect", names, license=evil, description=evil, imgsz=evil, stride=evil),
    )
    result = run(export.write(tmp_path))
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "\x07" not in result.output
    assert "[bold]x[/bold]" in result.output
    assert "\x1b" not in (tmp_path / "model.yaml").read_text()


def test_a_contract_of_ones_own_is_kept(yolo: Path) -> None:
    (yolo.parent / "model.yaml").write_text("mine")
    result = run(yolo)
    assert result.exit_code == 1
    assert "model.yaml exists already: --force replaces it" in result.stderr
    assert (yolo.parent / "model.yaml").read_text() == "mine"
    assert run(yolo, "--force").exit_code == 0


def test_a_file_that_is_no_model_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"PK\x03\x04" + bytes(40))
    result = run(tmp_path / "model.onnx")
    assert result.exit_code == 1
    assert "is a zip, as torch.save and Keras 3 write" in result.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--mean", "a,b"], "--mean is 'a,b': one number, or three"),
        (["--std", "1,2"], "--std has 2 numbers"),
        (["--scale", "0"], "--scale is '0': one number above 0, or max"),
        (["--scale", "1,2"], "--scale is '1,2'"),
        (["--size", "big"], "--size is 'big': HEIGHTxWIDTH"),
        (["--size", "1x2x3"], "--size is '1x2x3'"),
        (["--set", "box_unit"], "--set box_unit: KEY=VALUE is expected"),
        (["--set", "a=["], "is no value of YAML"),
        (["--task", "detect"], "--task is 'detect': one of classification, detection"),
    ],
)
def test_an_option_that_does_not_fit_is_a_usage_error(yolo: Path, flags: list[str], sentence: str) -> None:
    result = run(yolo, *flags)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_an_output_key_that_there_is_not_is_refused_as_the_servers_would(yolo: Path) -> None:
    result = run(yolo, "--set", "box_units=normalized")
    assert result.exit_code == 1
    assert "output.box_units is not a key of the contract: did you mean box_unit?" in result.stderr
    assert not (yolo.parent / "model.yaml").exists()


def test_a_picture_shows_what_comes_of_it(bare: Path, coffee: Path, tmp_path: Path) -> None:
    result = run(bare, "--normalize", "imagenet", "--try", coffee, "--save", tmp_path / "seen")
    assert result.exit_code == 0
    assert "espresso" in result.stdout
    assert "--color bgr" in result.stdout
    drawn = tmp_path / "seen" / "coffee.jpg"
    assert f"drawn: {drawn}" in result.stdout
    with Image.open(drawn) as picture:
        assert picture.width > 0


def test_a_picture_helps_to_answer_what_is_asked(bare: Path, coffee: Path, tmp_path: Path) -> None:
    result = run(bare, "--try", coffee, "--save", tmp_path / "seen")
    assert result.exit_code == 3
    lines = [line for line in result.stdout.splitlines() if line.startswith(("(as concluded)", "--normalize"))]
    assert len(lines) == 6
    assert "espresso" in lines[0]
    assert not (tmp_path / "seen").exists()
    assert not (bare.parent / "model.yaml").exists()


def test_numbers_of_no_known_meaning_are_shown_and_not_drawn(coffee: Path, tmp_path: Path) -> None:
    path = Export([Out("output", (1, 3, 64, 64), ["Relu"])], (1, 3, 64, 64), "input").write(tmp_path)
    result = run(path, "--task", "raw", "--accept-guesses", "--try", coffee, "--save", tmp_path / "seen")
    assert result.exit_code == 0
    assert "nothing is drawn: an answer of the task raw is numbers" in result.stdout
    assert not (tmp_path / "seen").exists()


def test_a_picture_helps_to_tell_pixels_from_shares(coffee: Path, tmp_path: Path) -> None:
    path = FAMILIES["finished boxes of nobody that is known"].export.write(tmp_path)
    result = run(path, "--normalize", "0..1", "--try", coffee, "--json")
    assert result.exit_code == 3
    tried = json.loads(result.stdout)["tried"]["alternatives"]
    assert [each["option"] for each in tried] == ["--set box_unit=normalized", "--set first_class=1", "--color bgr"]


def test_machines_get_what_a_picture_shows(bare: Path, coffee: Path, tmp_path: Path) -> None:
    result = run(bare, "--normalize", "imagenet", "--try", coffee, "--save", tmp_path / "seen", "--json")
    tried = json.loads(result.stdout)["tried"]
    assert tried["predictions"][0]["label"] == "espresso"
    assert tried["drawn"] == str(tmp_path / "seen" / "coffee.jpg")
    assert [each["option"] for each in tried["alternatives"]] == ["--color bgr"]


def test_a_model_that_cannot_be_loaded_is_told_in_a_sentence(yolo: Path, coffee: Path, tmp_path: Path) -> None:
    content = yolo.read_bytes()
    yolo.write_bytes(content.replace(b"ReduceMean", b"ReduceMoan"))
    result = run(yolo, "--try", coffee, "--save", tmp_path / "seen")
    assert result.exit_code == 1
    assert "ONNX Runtime cannot load" in result.stderr
    assert "Traceback" not in result.output


def test_a_picture_that_is_none_is_told_in_a_sentence(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    result = run(bare, "--normalize", "imagenet", "--try", tmp_path / "notes.png", "--save", tmp_path / "seen")
    assert result.exit_code == 1
    assert "IMAGE_UNSUPPORTED" in result.output
