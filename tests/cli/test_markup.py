"""What stands in brackets is printed as it is, wherever it comes from."""

from __future__ import annotations

import shutil
from pathlib import Path

from typer.testing import CliRunner

from cli.main import app
from tests.photos import photo_bytes
from tests.servers import RunningPair


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "160"})
    return result.exit_code, result.output


def test_a_label_and_a_path_with_brackets_are_printed(model_dir: Path, tmp_path: Path) -> None:
    odd = tmp_path / "model"
    shutil.copytree(model_dir, odd)
    labels = (odd / "labels.txt").read_text().replace("espresso\n", "espresso [/b] shot\n")
    (odd / "labels.txt").write_text(labels)
    picture = tmp_path / "a[x] [b].png"
    picture.write_bytes(photo_bytes("coffee"))

    code, printed = run("predict", "--model", odd, picture)

    assert code == 0
    assert "espresso [/b] shot" in printed
    assert "a[x] [b].png" in printed


def test_a_shape_in_a_message_is_printed(model_dir: Path, tmp_path: Path) -> None:
    odd = tmp_path / "model"
    shutil.copytree(model_dir, odd)
    contract = odd / "model.yaml"
    contract.write_text(contract.read_text().replace("height: 224", "height: 225", 1))
    picture = tmp_path / "coffee.png"
    picture.write_bytes(photo_bytes("coffee"))

    code, printed = run("predict", "--model", odd, picture)

    assert code == 1
    assert "make [n, 3, 225, 224]" in printed
    assert "has [n, 3, 224, 224]" in printed


def test_a_server_without_its_scheme_is_found(pair: RunningPair, tmp_path: Path) -> None:
    picture = tmp_path / "coffee.png"
    picture.write_bytes(photo_bytes("coffee"))
    code, printed = run("predict", "--url", pair.transformer.url.removeprefix("http://"), picture)
    assert code == 0
    assert "espresso" in printed


def test_a_folder_that_is_not_there_is_not_taken_for_a_model_of_the_zoo(tmp_path: Path) -> None:
    picture = tmp_path / "coffee.png"
    picture.write_bytes(photo_bytes("coffee"))
    code, printed = run("predict", "--model", "nosuchdir", picture)
    assert code == 1
    assert "nosuchdir is neither a folder here nor a demo model (efficientnet-lite0, " in printed
