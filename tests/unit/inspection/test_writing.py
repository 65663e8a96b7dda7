from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from inspection import Answers, NotWritten, inspect
from predictor.loading import load
from serving.contract import load_model_directory
from tests.unit.inspection.exports import Export, Out
from tests.unit.inspection.families import FAMILIES
from tests.unit.predictor.graphs import settings

YOLO = FAMILIES["Ultralytics YOLOv8"]
RAGGED = {
    "torchvision Faster R-CNN",
    "YOLOv7 --grid --end2end --max-wh",
    "ONNX NonMaxSuppression",
    "YOLOv3 of ONNX's model zoo",
}
"""Whose outputs the small graphs here only name: they give as many rows as pictures."""


def test_the_contract_lies_beside_the_model_with_its_labels(tmp_path: Path) -> None:
    path = YOLO.export.write(tmp_path)
    folder, written = inspect(path).write()
    assert folder == tmp_path
    assert [each.name for each in written] == ["model.yaml", "labels.txt"]
    assert load_model_directory(folder).model_path == path


def test_a_directory_of_its_own_keeps_the_model_when_the_export_is_written_anew(tmp_path: Path) -> None:
    path = YOLO.export.write(tmp_path / "here")
    before = path.read_bytes()
    folder, _ = inspect(path).write(tmp_path / "there")
    inspect(path).write(tmp_path / "there")
    path.write_bytes(b"another")
    assert (folder / "model.onnx").read_bytes() == before
    assert {each.name for each in folder.iterdir()} == {"model.onnx", "model.yaml", "labels.txt"}
    assert not (path.parent / "model.yaml").exists()


def test_what_is_there_already_is_never_replaced_unasked(tmp_path: Path) -> None:
    path = YOLO.export.write(tmp_path)
    (tmp_path / "model.yaml").write_text("mine")
    with pytest.raises(NotWritten, match=r"model\.yaml exists already: --force replaces it"):
        inspect(path).write()
    assert (tmp_path / "model.yaml").read_text() == "mine"
    assert not (tmp_path / "labels.txt").exists()
    inspect(path).write(force=True)
    assert load_model_directory(tmp_path).labels


def test_labels_of_ones_own_stay_as_they_are(tmp_path: Path) -> None:
    export = Export(
        [Out("logits", ("n", 2), ["Gemm"])], ("n", 3, 224, 224), beside={"labels.txt": "background\na\nb\n"}
    )
    path = export.write(tmp_path)
    folder, written = inspect(path, Answers(normalize="0..1")).write(force=True)
    assert (tmp_path / "labels.txt").read_text() == "background\na\nb\n"
    assert [each.name for each in written] == ["model.yaml", "exported.labels.txt"]
    assert load_model_directory(folder).labels == ("a", "b")


def test_another_model_in_the_folder_is_never_replaced_unasked(tmp_path: Path) -> None:
    path = YOLO.export.write(tmp_path / "here")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "model.onnx").write_bytes(b"another")
    with pytest.raises(NotWritten, match=r"model\.onnx exists already"):
        inspect(path).write(tmp_path / "there")
    assert (tmp_path / "there" / "model.onnx").read_bytes() == b"another"


def test_writing_once_more_changes_nothing(tmp_path: Path) -> None:
    path = YOLO.export.write(tmp_path)
    inspect(path).write()
    assert inspect(path).write() == (tmp_path, [])


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    path = YOLO.export.write(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritten, match="cannot be written"):
        inspect(path).write(tmp_path / "file")


def test_each_key_says_how_it_came_to_be_known(tmp_path: Path) -> None:
    found = inspect(FAMILIES["YOLOv7 --grid"].export.write(tmp_path), Answers(color="rgb"))
    lines = found.texts(tmp_path)["model.yaml"].splitlines()
    above = {line.strip(): lines[number - 1].strip() for number, line in enumerate(lines) if number}
    assert above["color: rgb"] == "# given: --color"
    assert above["resize:"] == "# GUESSED: usual in the YOLO family's training"
    assert above["height: 640"] == "# found: the graph's input 'images' FP32 [1, 3, 640, 640]"
    assert above["decoder: yolov5"] == "output:"


@pytest.mark.parametrize("name", ["a\nb: c", "tab\tname", "#", "x" * 300, "\u2028", "é", "- a"])
def test_names_of_any_kind_end_up_in_yaml_that_is_read(tmp_path: Path, name: str) -> None:
    export = Export([Out(name, (1, 3), ["Gemm"]), Out("other", (1, 9))], (1, 3, 224, 224), name + "in")
    found = inspect(export.write(tmp_path), Answers(task="classification", tensor=name, normalize="0..1"))
    text = found.texts(tmp_path)["model.yaml"]
    assert yaml.safe_load(text)["output"]["tensor"] == name


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - RAGGED))
def test_what_is_written_is_loaded_by_the_predictor(tmp_path: Path, name: str) -> None:
    family = FAMILIES[name]
    folder, _ = inspect(family.export.write(tmp_path), family.answers).write()
    loaded = load(settings(folder, max_batch_size=2))
    assert loaded.directory.contract.task == family.task
