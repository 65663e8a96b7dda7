"""Downloading a package's archive, once, into a cache.

The user's own client of the index does the download. The archive is verified in a folder of its own and only then
renamed into the cache, so neither a second process nor a kill half-way can leave a broken file under the final name.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from zoo.clients import CLIENTS, Client, download
from zoo.errors import PackageMismatch, PackageUnavailable
from zoo.recipe import Package, Progress


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where archives are kept: `KSERVE_VISION_CACHE`, or `kserve-vision` in the user's cache folder.

    The user's cache folder is `XDG_CACHE_HOME`, which counts only where it is absolute (XDG Base Directory
    Specification), or `~/.cache`.
    """
    if chosen := environ.get("KSERVE_VISION_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "kserve-vision"


def fetch(package: Package, cache: Path, *, progress: Progress, client: Client | None = None) -> Path:
    """Return the path of the package's archive in `cache`, downloading it first where it is not there yet.

    The client is the one of the package's index, unless another is given.

    Raises:
        PackageUnavailable: the client is missing, the index cannot be reached, or it does not have this version.
        PackageMismatch: what was downloaded has another SHA-256 than the recipe's; nothing is kept.
    """
    archive = cache / "packages" / package.filename
    if archive.is_file():
        if _sha256(archive) == package.sha256:
            return archive
        progress(f"{package.filename} in the cache is damaged; downloading it again")
        archive.unlink(missing_ok=True)
    client = client or CLIENTS[package.index]
    progress(f"Downloading {package} with {client.name}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=archive.parent) as folder:
            downloaded = _download(package, Path(folder), archive, client)
            _verify(package, downloaded)
            downloaded.replace(archive)
    except OSError as error:
        raise PackageUnavailable(
            f"{package} cannot be kept in {archive.parent}: {error.strerror}. KSERVE_VISION_CACHE names another folder."
        ) from error
    return archive


def _download(package: Package, folder: Path, archive: Path, client: Client) -> Path:
    try:
        return download(package, folder, client)
    except PackageUnavailable as error:
        raise PackageUnavailable(
            f"{package} cannot be downloaded: {error} "
            f"Without an index, put {package.filename} into {archive.parent} by hand."
        ) from error.__cause__


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
