from __future__ import annotations

from pathlib import Path

import pytest

from inspection import Sure, inspect
from serving.contract import load_model_directory
from tests.unit.inspection.families import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_an_export_gives_the_contract_of_its_makers(tmp_path: Path, name: str) -> None:
    family = FAMILIES[name]
    found = inspect(family.export.write(tmp_path), family.answers)
    assert found.contract() == family.contract()
    by_sure = {sure: {each.finding.key for each in found.conclusions if each.finding.sure is sure} for sure in Sure}
    assert by_sure[Sure.GUESSED] == family.guessed
    assert by_sure[Sure.OPEN] == family.open


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_written_is_read_as_it_was_concluded(tmp_path: Path, name: str) -> None:
    family = FAMILIES[name]
    found = inspect(family.export.write(tmp_path), family.answers)
    folder, _ = found.write(tmp_path / "served")
    directory = load_model_directory(folder)
    assert directory.contract.task == family.task
    assert directory.contract.output.decoder == family.output["decoder"]
    assert directory.model_path.read_bytes() == (tmp_path / "exported.onnx").read_bytes()
    assert bool(directory.labels) == bool(family.labels)
