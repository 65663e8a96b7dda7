from __future__ import annotations

from pathlib import Path

import pytest

from cli.several import NotSideBySide, side_by_side
from serving.contract.repository import read_layout


@pytest.fixture
def cats(tmp_path: Path) -> Path:
    folder = tmp_path / "cats"
    folder.mkdir()
    (folder / "model.yaml").touch()
    return folder


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    folder = tmp_path / "dogs"
    folder.mkdir()
    (folder / "model.yaml").touch()
    return folder


def test_one_directory_is_served_as_it_is(cats: Path) -> None:
    for name, expected in ((None, "cats"), ("tigers", "tigers")):
        with side_by_side([cats], name) as served:
            assert served == (cats, expected)


def test_several_are_a_repository_for_a_while_and_the_first_is_the_default(cats: Path, dogs: Path) -> None:
    with side_by_side([dogs, cats], None) as (folder, default):
        layout = read_layout(folder, default)
        assert default == "dogs"
        assert {name: (each.version, each.fault) for name, (each,) in layout.items()} == {
            "cats": (None, ""),
            "dogs": (None, ""),
        }
    assert not folder.exists()
    assert (cats / "model.yaml").exists()


def test_two_of_one_name_are_refused(cats: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "cats"
    other.mkdir(parents=True)

    with pytest.raises(NotSideBySide, match="two models are called cats"), side_by_side([cats, other], None):
        pass


def test_a_name_for_several_is_refused(cats: Path, dogs: Path) -> None:
    with (
        pytest.raises(NotSideBySide, match="--name tigers is for a single model"),
        side_by_side([cats, dogs], "tigers"),
    ):
        pass


def test_a_repository_among_several_is_refused(cats: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(NotSideBySide, match="is a repository of models: serve it alone"),
        side_by_side([cats, tmp_path], None),
    ):
        pass


def test_an_odd_name_among_several_is_refused(cats: Path, tmp_path: Path) -> None:
    odd = tmp_path / "two words"
    odd.mkdir()

    with (
        pytest.raises(NotSideBySide, match="two words': among several, a model's name is of"),
        side_by_side([cats, odd], None),
    ):
        pass


def versions_of_cats(root: Path) -> Path:
    for version in ("1", "2"):
        (root / "cats" / version).mkdir(parents=True)
        (root / "cats" / version / "model.yaml").touch()
    return root / "cats"


def test_the_folder_of_a_models_versions_is_that_model(tmp_path: Path) -> None:
    with side_by_side([versions_of_cats(tmp_path)], None) as (folder, default):
        layout = read_layout(folder, default)
    assert default == "cats"
    assert {name: [each.version for each in versions] for name, versions in layout.items()} == {"cats": ["1", "2"]}


def test_one_version_has_the_name_of_its_model(tmp_path: Path, dogs: Path) -> None:
    first = versions_of_cats(tmp_path / "models") / "1"
    with side_by_side([first], None) as served:
        assert served == (first, "cats")
    with side_by_side([first, dogs], None) as (folder, _):
        layout = read_layout(folder, "")
        assert {name: [each.version for each in versions] for name, versions in layout.items()} == {
            "cats": ["1"],
            "dogs": [None],
        }


def test_two_versions_of_a_model_go_together(tmp_path: Path) -> None:
    cats = versions_of_cats(tmp_path)
    with side_by_side([cats / "1", cats / "2"], None) as (folder, default):
        assert [each.version for each in read_layout(folder, default)["cats"]] == ["1", "2"]
