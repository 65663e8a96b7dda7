"""How models lie on the disk: one model directory, or a repository of many, laid out as Triton's.

::

    model.yaml, model.onnx ...              one model directory, under the name that the settings give it
    NAME/VERSION/model.yaml, ...            a repository: versions are whole numbers
    NAME/model.yaml, ...                    a model of a repository whose contract says its version

Both servers read the same layout. What is hidden (its name begins with a dot), and plain files, are passed over. A
folder that cannot be served is not: it is listed with its fault, so that whoever looks for the model finds the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from serving.contract.directory import ModelDirectory
from serving.contract.files import CONTRACT_FILE

MODEL_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")
"""As Triton's: a folder `01` beside `1` would be the same number."""

Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class VersionFolder:
    """The folder of one version of a model.

    `version` is the folder's name, or None where only the contract says it. `fault` is why it cannot be served, where
    that can be seen from outside. `stamp` is another one when a file was changed: name, size, time and inode of each.
    """

    name: str
    path: Path
    version: str | None = None
    fault: str = ""
    stamp: Stamp = ()

    def numbered(self, directory: ModelDirectory) -> ModelDirectory:
        """Return what was read from this folder under the version that the folder's name says, if it says one."""
        if self.version is None:
            return directory
        info = directory.contract.model.model_copy(update={"version": self.version})
        return replace(directory, contract=directory.contract.model_copy(update={"model": info}))


RepositoryLayout = Mapping[str, tuple[VersionFolder, ...]]
"""The versions of each model, in ascending order; every model has at least one, be it with a fault."""


def is_repository(root: Path) -> bool:
    """Whether `root` holds folders, and is no model directory itself."""
    try:
        return not (root / CONTRACT_FILE).exists() and not any(root.glob("*.onnx")) and any(folders_of(root))
    except OSError:
        return False


def read_layout(root: Path, name: str) -> RepositoryLayout:
    """Find the models under `root`; `name` is that of a single model directory's."""
    if is_repository(root):
        return {folder.name: _versions(folder) for folder in folders_of(root)}
    return {name: (_single(root, name),)}


def _single(root: Path, name: str) -> VersionFolder:
    if _is_empty(root):
        fault = (
            f"{root} is empty: a model directory holds {CONTRACT_FILE}, the ONNX file and its labels; a repository "
            f"holds model directories as NAME/VERSION/{CONTRACT_FILE}"
        )
        return VersionFolder(name, root, fault=fault)
    return _stamped(VersionFolder(name, root))


def _is_empty(root: Path) -> bool:
    try:
        return not any(root.iterdir())
    except OSError:
        return False  # whoever reads the contract will say it


def _versions(folder: Path) -> tuple[VersionFolder, ...]:
    """Return the versions of one model of a repository, or the one fault that keeps it from having any."""
    model = VersionFolder(folder.name, folder)
    if not MODEL_NAME.fullmatch(folder.name):
        return (replace(model, fault=f"{str(folder)!r}: a model's name is of A-Z, a-z, 0-9, '.', '_' and '-' only"),)
    if not folder.exists():
        return (replace(model, fault=f"{folder} is a link to {folder.readlink()}, which does not exist"),)
    try:
        inner = list(folders_of(folder))
        numbers = sorted((each for each in inner if VERSION.fullmatch(each.name)), key=lambda each: int(each.name))
        if (folder / CONTRACT_FILE).exists():
            if numbers:
                return (replace(model, fault=_both(folder, numbers[0])),)
            return (_stamped(model),)
        odd = [each for each in inner if each not in numbers and (each / CONTRACT_FILE).exists()]
    except OSError as error:
        return (replace(model, fault=f"{folder} cannot be read: {error.strerror}"),)
    versions = [
        *(replace(model, path=each, version=each.name, fault=_odd(each)) for each in odd),
        *(_stamped(replace(model, path=each, version=each.name)) for each in numbers),
    ]
    return tuple(versions) or (replace(model, fault=_neither(folder)),)


def _both(folder: Path, number: Path) -> str:
    return f"{folder} holds {CONTRACT_FILE} and a version folder, {number.name}: a model has the one or the others"


def _odd(folder: Path) -> str:
    return f"{str(folder)!r} is no version: a whole number is expected, from 1, without zeros before it"


def _neither(folder: Path) -> str:
    return (
        f"{folder} is no model: it holds neither {CONTRACT_FILE} nor a version folder, such as {folder.name}/1/"
        f"{CONTRACT_FILE}"
    )


def folders_of(root: Path) -> Iterator[Path]:
    """Yield the folders in `root` that are not hidden, and links that lead nowhere, by name."""
    for each in sorted(root.iterdir()):
        if not each.name.startswith(".") and (each.is_dir() or not each.exists()):
            yield each


def _stamped(folder: VersionFolder) -> VersionFolder:
    """Note what the files of a folder are like now; one that cannot be looked at is left to whoever reads it."""
    stamp = [(str(folder.path.resolve()), 0, 0, 0)]
    try:
        for each in sorted(folder.path.iterdir()):
            status = each.stat()
            stamp.append((each.name, status.st_size, status.st_mtime_ns, status.st_ino))
    except OSError:
        pass
    return replace(folder, stamp=tuple(stamp))
