"""Files of a model directory that would cost a server its memory, its time, or its answers: refused when read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from serving.contract import load_model_directory
from serving.errors import ContractInvalid

from .directories import write_directory


def refused(directory: Path, expected: str) -> None:
    with pytest.raises(ContractInvalid, match=expected):
        load_model_directory(directory)


def references(last: str) -> str:
    """Ten lines that stand for a thousand million values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for name, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    return "\n".join([*lines, f"{last}: *i\n"])


@pytest.mark.parametrize("key", ["task", "output", "j"])
def test_references_to_references_are_not_followed_to_their_end(tmp_path: Path, key: str) -> None:
    refused(write_directory(tmp_path, text=references(key)), "more than 100000 values")


def test_a_contract_that_holds_itself_is_refused(tmp_path: Path) -> None:
    refused(write_directory(tmp_path, text="&a {apiVersion: *a}"), "more than 100000 values")


def test_a_contract_of_many_megabytes_is_not_read(tmp_path: Path) -> None:
    refused(write_directory(tmp_path, text="# " + "x" * 2**20), "has 1048578 bytes; at most 1048576 are read")


@pytest.mark.parametrize("name", ["labels.txt", "labels.json"])
def test_labels_of_many_megabytes_are_not_read(tmp_path: Path, name: str) -> None:
    directory = write_directory(tmp_path, {"labels": name})
    with (directory / name).open("wb") as file:
        file.truncate(100 * 2**20)

    refused(directory, "has 104857600 bytes; at most 16777216 are read")


@pytest.mark.parametrize("name", ["model.yaml", "labels.txt"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    directory = write_directory(tmp_path, {"labels": "labels.txt"})
    (directory / name).unlink(missing_ok=True)
    os.mkfifo(directory / name)

    refused(directory, f"{name} is no plain file")


@pytest.mark.parametrize("labels", ['["cat", "\\ud800"]', '{"0": "\\udfff cat"}'])
def test_a_label_that_no_answer_could_carry_is_refused(tmp_path: Path, labels: str) -> None:
    directory = write_directory(tmp_path, {"labels": "labels.json"})
    (directory / "labels.json").write_text(labels)

    refused(directory, "holds half of a surrogate pair")


def test_a_description_that_no_answer_could_carry_is_refused(tmp_path: Path) -> None:
    contract = write_directory(tmp_path) / "model.yaml"
    contract.write_text(contract.read_text() + 'model: {description: "\\ud800"}\n')

    refused(tmp_path, "holds half of a surrogate pair")


@pytest.mark.parametrize(
    "changes",
    [
        {"input.height": 10**9, "input.width": 10**9},
        {"input.height": 1, "input.width": 10**9},
        {"input.height": 10**400},
        {"input.resize": {"rule": "crop", "shorter_side": 10**6}},
        {"input.height": 10**6, "input.width": 10**6, "input.resize": {"rule": "letterbox", "multiple": 10**6}},
        {"input": {"resize": {"rule": "shortest_edge", "shorter_side": 10**6, "longer_side": 10**6}}},
        {"input": {"resize": {"rule": "shortest_edge", "shorter_side": 9, "longer_side": 9, "multiple": 10**9}}},
    ],
)
def test_an_input_that_no_memory_holds_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    refused(write_directory(tmp_path, changes), "pixels; at most 67108864 are taken")


def test_the_largest_input_is_taken(tmp_path: Path) -> None:
    directory = load_model_directory(write_directory(tmp_path, {"input.height": 8192, "input.width": 8192}))

    assert directory.contract.input.largest_size == (8192, 8192)
