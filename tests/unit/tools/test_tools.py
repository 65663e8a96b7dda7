"""Where tools are looked for, and when one is built anew. Building them is `make cluster-tools`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tools.build import BuildFailed, provide
from tools.cache import ToolMissing, binary_path, files_path, linker_flags, located, tools_directory
from tools.families import BINARIES, FILES, GROUPS, ROOT

SERVER = BINARIES["kube-apiserver"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"KSERVE_VISION_TOOLS": "/a", "KSERVE_VISION_CACHE": "/b"}, Path("/a")),
        ({"KSERVE_VISION_CACHE": "/b"}, Path("/b/tools")),
        ({"XDG_CACHE_HOME": "/c"}, Path("/c/kserve-vision/tools")),
    ],
)
def test_tools_lie_in_the_cache_or_where_the_user_says(environ: dict[str, str], expected: Path) -> None:
    assert tools_directory(environ) == expected


def test_what_the_user_has_set_for_envtest_is_taken(tmp_path: Path) -> None:
    environ = {"KUBEBUILDER_ASSETS": str(tmp_path), "KSERVE_VISION_TOOLS": "/nowhere"}
    (tmp_path / "kubectl").touch()
    assert located("kubectl", environ) == tmp_path / "kubectl"
    with pytest.raises(ToolMissing, match="KUBEBUILDER_ASSETS is set"):
        located("etcd", environ)
    with pytest.raises(ToolMissing, match="make cluster-tools"):
        located("helm", environ)  # which envtest does not have


def test_what_envtest_brings_is_not_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"KUBEBUILDER_ASSETS": str(tmp_path), "KSERVE_VISION_TOOLS": str(tmp_path / "tools")}
    for name in ("kube-apiserver", "etcd", "kubectl"):
        (tmp_path / name).touch()
    provide(("kube-apiserver", "etcd", "kubectl"), environ)
    assert [each.name for each in (tmp_path / "tools").iterdir()] == [".lock"]
    assert "from KUBEBUILDER_ASSETS" in capsys.readouterr().err


def test_a_tool_is_called_by_its_version_and_told_of_it() -> None:
    version = binary_path(SERVER, Path()).parent.name.split("-")[2]
    assert version.startswith("v1.")
    assert f"gitVersion={version}" in linker_flags(SERVER)
    assert f"gitMinor={version.split('.')[1]}" in linker_flags(SERVER)


def test_another_stamp_or_package_is_another_tool() -> None:
    paths = {binary_path(each, Path()) for each in (SERVER, replace(SERVER, stamp=""), replace(SERVER, package="x"))}
    assert len(paths) == 3


def test_other_folders_of_a_module_are_other_files() -> None:
    files = FILES["kserve-files"]
    assert files_path(files, Path()) != files_path(replace(files, folders=("config",)), Path())


def test_every_group_names_tools_that_there_are() -> None:
    assert {name for names in GROUPS.values() for name in names} <= {*BINARIES, *FILES}


@pytest.mark.parametrize("family", sorted({each.family for each in BINARIES.values()}))
def test_a_family_is_a_module_with_hashes(family: str) -> None:
    assert (ROOT / family / "go.sum").stat().st_size > 0
    assert f"module kserve-vision/tools/{family}\n" in (ROOT / family / "go.mod").read_text()


def test_a_missing_go_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailed, match="which needs Go 1"):
        provide(("kustomize",), {"KSERVE_VISION_TOOLS": str(tmp_path)})


def test_an_unknown_tool_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "tools", "minikube"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no tool is called minikube" in done.stderr
