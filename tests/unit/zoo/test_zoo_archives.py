"""Damaged archives, which every recipe refuses in the same words."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from zoo import RECIPES, WeightsInvalid
from zoo.archives import read_members

CONTENT = bytes(range(256)) * 20


@pytest.fixture(params=["wheel", "tgz"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "wheel":
        with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr("folder/file", CONTENT)
        return tmp_path / "a.whl"
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as package:
        info = tarfile.TarInfo("folder/file")
        info.size = len(CONTENT)
        package.addfile(info, io.BytesIO(CONTENT))
        package.addfile(tarfile.TarInfo("folder/empty"))
        directory = tarfile.TarInfo("folder/directory")
        directory.type = tarfile.DIRTYPE
        package.addfile(directory)
    return tmp_path / "a.tgz"


def test_files_come_in_the_order_they_are_asked_for(archive: Path) -> None:
    assert read_members(archive, ["folder/file", "folder/file"]) == [CONTENT, CONTENT]


def test_a_file_that_is_not_there_is_named(archive: Path) -> None:
    with pytest.raises(WeightsInvalid, match=rf"{archive.name} is not the archive .*folder/other"):
        read_members(archive, ["folder/other"])


def test_an_archive_cut_short_anywhere_is_refused(archive: Path) -> None:
    whole = archive.read_bytes()
    for end in range(0, len(whole) * 3 // 4, 7):
        archive.write_bytes(whole[:end])
        with pytest.raises(WeightsInvalid, match="is not the archive that the recipe reads"):
            read_members(archive, ["folder/file"])


def test_an_altered_archive_never_gives_other_content(archive: Path) -> None:
    whole = archive.read_bytes()
    for at in range(0, len(whole), 5):
        archive.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            assert read_members(archive, ["folder/file"]) == [CONTENT]  # a byte that says nothing of the file
        except WeightsInvalid:
            continue


def test_a_folder_is_no_file(archive: Path) -> None:
    name = "folder/directory" if archive.suffix == ".tgz" else "folder/"
    with pytest.raises(WeightsInvalid):
        read_members(archive, [name])


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_refuses_an_archive_without_its_weights(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    archive = tmp_path / recipe.package.filename
    if archive.suffix == ".tgz":
        tarfile.open(archive, "w:gz").close()
    else:
        zipfile.ZipFile(archive, "w").close()
    with pytest.raises(WeightsInvalid, match="is not the archive that the recipe reads"):
        recipe.build(archive)
    archive.write_bytes(b"no archive")
    with pytest.raises(WeightsInvalid, match="is not the archive that the recipe reads"):
        recipe.build(archive)
