"""What the scripts that build images say where the programs that they drive are not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def _run(script: str, programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": str(programs), "HOME": str(programs)}
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / script, *arguments],
        capture_output=True,
        text=True,
        env=environ,
        cwd=ROOT,
        check=False,
    )


def _installed(folder: Path, *programs: str) -> Path:
    """A folder of programs that say no to everything."""
    for each in programs:
        path = folder / each
        path.write_text("#!/bin/sh\nexit 1\n")
        path.chmod(0o755)
    return folder


def test_without_a_program_that_builds_it_says_what_to_install(tmp_path: Path) -> None:
    done = _run("build_images.py", tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "neither buildah nor docker is installed, and one of them builds the images: on Debian, `apt-get install "
        "buildah`\n"
    )


@pytest.mark.parametrize(
    ("there", "missing"), [((), "podman"), (("podman",), "debootstrap")], ids=["no podman", "no debootstrap"]
)
@pytest.mark.parametrize("script", ["stand_in_base.py", "build_images.py"])
def test_without_what_makes_the_stand_in_base_it_says_what_to_install(
    tmp_path: Path, script: str, there: tuple[str, ...], missing: str
) -> None:
    programs = _installed(tmp_path, "docker", *there)
    done = _run(script, programs, *(["--base=stand-in"] if script == "build_images.py" else []))
    assert done.returncode == 1
    assert done.stderr.startswith(f"{missing} is not installed")
    assert "apt-get install podman debootstrap" in done.stderr
    assert "Traceback" not in done.stderr
