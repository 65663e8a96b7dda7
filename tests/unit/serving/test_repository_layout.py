from __future__ import annotations

from pathlib import Path

import pytest

from serving.contract import load_model_directory
from serving.contract.repository import VersionFolder, is_repository, read_layout

from .directories import write_directory


def versions(root: Path, name: str) -> list[str | None]:
    return [each.version for each in read_layout(root, "m")[name]]


def fault(root: Path, name: str) -> str:
    (only,) = read_layout(root, "m")[name]
    return only.fault


def test_a_folder_with_a_contract_is_one_model_under_the_name_of_the_settings(tmp_path: Path) -> None:
    write_directory(tmp_path)
    (tmp_path / "1").mkdir()

    (only,) = read_layout(tmp_path, "m")["m"]
    assert (only.name, only.path, only.version, only.fault) == ("m", tmp_path, None, "")


def test_versions_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in ("10", "9", "2"):
        write_directory(tmp_path / "cats" / number)

    assert versions(tmp_path, "cats") == ["2", "9", "10"]


def test_a_model_without_version_folders_has_the_version_of_its_contract(tmp_path: Path) -> None:
    write_directory(tmp_path / "cats")
    write_directory(tmp_path / "dogs" / "1")

    assert (versions(tmp_path, "cats"), versions(tmp_path, "dogs")) == ([None], ["1"])


def test_the_name_of_the_folder_is_the_version_whatever_the_contract_says(tmp_path: Path) -> None:
    directory = load_model_directory(write_directory(tmp_path, {"model.version": "beta"}))

    for version, expected in ((None, "beta"), ("7", "7")):
        numbered = VersionFolder("m", tmp_path, version).numbered(directory)
        assert (numbered.contract.model.version, numbered.digest) == (expected, directory.digest)


def test_what_is_hidden_and_plain_files_are_passed_over(tmp_path: Path) -> None:
    write_directory(tmp_path / "cats" / "1")
    write_directory(tmp_path / ".hidden" / "1")
    write_directory(tmp_path / "cats" / ".2")
    (tmp_path / "README.md").touch()
    (tmp_path / "cats" / "config.pbtxt").touch()

    assert list(read_layout(tmp_path, "m")) == ["cats"]
    assert versions(tmp_path, "cats") == ["1"]


def test_links_are_followed(tmp_path: Path) -> None:
    write_directory(tmp_path / "elsewhere")
    (tmp_path / "root" / "cats").mkdir(parents=True)
    (tmp_path / "root" / "cats" / "1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "dogs").symlink_to(tmp_path / "elsewhere")

    assert versions(tmp_path / "root", "cats") == ["1"]
    assert versions(tmp_path / "root", "dogs") == [None]


@pytest.mark.parametrize("name", ["01", "0", "-1", "1e3", "v1", "1.0", "\u0661", "+1", "1" * 19])
def test_a_folder_that_is_no_whole_number_is_no_version_and_says_so(tmp_path: Path, name: str) -> None:
    write_directory(tmp_path / "cats" / "1")
    write_directory(tmp_path / "cats" / name)

    odd, good = read_layout(tmp_path, "m")["cats"]
    assert "is no version: a whole number is expected" in odd.fault
    assert (good.version, good.fault) == ("1", "")


def test_a_folder_beside_the_versions_that_holds_no_contract_is_passed_over(tmp_path: Path) -> None:
    write_directory(tmp_path / "cats" / "1")
    (tmp_path / "cats" / "assets").mkdir()

    assert versions(tmp_path, "cats") == ["1"]


@pytest.mark.parametrize("name", ["two words", "a+b", "käse", "a:b", "a%2Fb", "a\nb"])
def test_an_odd_name_is_refused_with_what_a_name_may_be(tmp_path: Path, name: str) -> None:
    write_directory(tmp_path / name / "1")

    assert "name is of A-Z, a-z, 0-9, '.', '_' and '-' only" in fault(tmp_path, name)
    assert "\n" not in fault(tmp_path, name)


def test_a_folder_that_is_neither_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "cats" / "one").mkdir(parents=True)

    assert "cats is no model: it holds neither model.yaml nor a version folder, such as cats/1" in fault(
        tmp_path, "cats"
    )


def test_a_folder_that_is_both_is_refused(tmp_path: Path) -> None:
    write_directory(tmp_path / "cats")
    write_directory(tmp_path / "cats" / "1")

    assert "holds model.yaml and a version folder, 1" in fault(tmp_path, "cats")


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "cats").symlink_to(tmp_path / "gone")

    assert "is a link to" in fault(tmp_path, "cats")


def test_an_empty_folder_is_refused_with_both_that_it_could_be(tmp_path: Path) -> None:
    said = fault(tmp_path, "m")

    assert "is empty: a model directory holds model.yaml" in said
    assert "NAME/VERSION/model.yaml" in said


def test_a_folder_with_a_model_file_and_no_contract_is_a_model_directory(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    (tmp_path / "labels").mkdir()

    assert not is_repository(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "model.yaml").write_text("another"),
        lambda folder: (folder / "labels.txt").touch(),
        lambda folder: (folder / "model.yaml").rename(folder / "contract.yaml"),
    ],
    ids=["another text", "one more", "another name"],
)
def test_a_change_of_a_file_makes_it_another_folder(tmp_path: Path, change: object) -> None:
    write_directory(tmp_path / "cats" / "1")
    before = read_layout(tmp_path, "m")
    assert read_layout(tmp_path, "m") == before

    assert callable(change)
    change(tmp_path / "cats" / "1")

    assert read_layout(tmp_path, "m") != before
