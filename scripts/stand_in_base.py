"""Make a base for the images where none can be pulled: Debian's own Python on a minimal Debian, by debootstrap.

    python scripts/stand_in_base.py

It comes from the archive that this machine's apt is configured for; what is made stays in the user's cache folder. Run
it as root. It prints the image's name, which the Dockerfiles take as BASE.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from zoo.packages import cache_directory

RELEASE: Final = "bookworm"
PACKAGES: Final = "ca-certificates,python3,python3-venv"
INSTALL: Final = "`apt-get install podman debootstrap`"
NAME: Final = f"localhost/kserve-vision-base:{RELEASE}"
NOT_FOR_RUNNING: Final = (
    "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/log/*", "usr/share/doc/*",
    "usr/share/info/*", "usr/share/locale/*", "usr/share/man/*", "dev/*",
)  # fmt: skip


class NoBase(Exception):
    """The base cannot be made; the message says why."""


def main() -> int:
    """Make it, or take it from the cache."""
    try:
        print(stand_in())
    except NoBase as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def stand_in() -> str:
    """Return the name of the base's image, which is in podman's store then.

    Raises:
        NoBase: podman or debootstrap is missing, or failed.
    """
    _require("podman")
    if _is_stored():
        return NAME
    archive = cache_directory(os.environ) / "images" / f"{RELEASE}.tar"
    if not archive.is_file():
        _require("debootstrap")
        archive.parent.mkdir(parents=True, exist_ok=True)
        sys.stderr.write(f"making {archive}, once (about a minute) ...\n")
        _bootstrap(archive)
    _run(["podman", "import", "--quiet", str(archive), NAME])
    return NAME


def _is_stored() -> bool:
    return subprocess.run(["podman", "image", "exists", NAME], check=False).returncode == 0  # noqa: S603, S607


def _bootstrap(archive: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, unfinished = Path(folder) / "root", Path(folder) / archive.name
        chosen = ["--variant=minbase", f"--include={PACKAGES}"]
        _run(["debootstrap", *chosen, RELEASE, str(root), _mirror()])
        for found in [path for pattern in NOT_FOR_RUNNING for path in root.glob(pattern)]:
            if found.is_dir() and not found.is_symlink():
                shutil.rmtree(found)
            else:
                found.unlink()
        _run(
            [
                "tar",
                "--directory",
                str(root),
                "--sort=name",
                "--mtime=@0",
                "--numeric-owner",
                "-cf",
                str(unfinished),
                ".",
            ]
        )
        shutil.move(unfinished, archive)


def _mirror() -> str:
    """Return the archive that apt has the release from."""
    form = "$(CODENAME) $(COMPONENT) $(SITE)"
    _require("apt-get")
    listed = _run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    for line in listed.splitlines():
        release, component, site = line.split(" ", 2)
        if (release, component) == (RELEASE, "main"):
            return site
    raise NoBase(f"apt is not configured for {RELEASE}")


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise NoBase(f"{program} is not installed: the stand-in base wants Debian, and there {INSTALL}")


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise NoBase("\n".join([f"{command[0]} failed:", *said[-10:]]))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
