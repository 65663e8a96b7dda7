"""Several model directories as one repository, for two servers that read one folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from serving.contract.repository import MODEL_NAME, VERSION, folders_of, is_repository


class NotSideBySide(ValueError):
    """Folders that cannot be served together; the message says what would be right."""


@contextmanager
def side_by_side(directories: Sequence[Path], name: str | None) -> Iterator[tuple[Path, str]]:
    """Give the folder to serve, and the name of the model that is asked by default, for the length of the block.

    One directory is served as it is, under `name` or its own. Several are linked into a repository, each under its own,
    and so is one that holds the versions of a model, `NAME/1`, `NAME/2`. A version's directory has its model's name.

    Raises:
        NotSideBySide: their names do not go together, or one of them is a repository itself.
    """
    if len(directories) == 1 and not _holds_versions(directories[0]):
        yield directories[0], name or _model_name(directories[0])
        return
    _check(directories, name)
    with TemporaryDirectory(prefix="kserve-vision-") as folder:
        for directory in directories:
            link = Path(folder) / _model_name(directory)
            if VERSION.fullmatch(directory.name):
                link /= directory.name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(directory, target_is_directory=True)
        yield Path(folder), _model_name(directories[0])


def _model_name(directory: Path) -> str:
    return directory.parent.name if VERSION.fullmatch(directory.name) else directory.name


def _holds_versions(directory: Path) -> bool:
    """Whether a folder is that of one model of a repository, with its versions in it."""
    return is_repository(directory) and all(VERSION.fullmatch(each.name) for each in folders_of(directory))


def _check(directories: Sequence[Path], name: str | None) -> None:
    if name is not None:
        raise NotSideBySide(f"--name {name} is for a single model; several have the names of their directories")
    places = []
    for directory in directories:
        model = _model_name(directory)
        if is_repository(directory) and not _holds_versions(directory):
            raise NotSideBySide(f"{directory} is a repository of models: serve it alone, or its model directories")
        if not MODEL_NAME.fullmatch(model):
            raise NotSideBySide(
                f"{str(directory)!r}: among several, a model's name is of A-Z, a-z, 0-9, '.', '_' and '-' only"
            )
        places.append((model, directory.name if VERSION.fullmatch(directory.name) else None))
    for model, version in places:
        others = [other for each, other in places if each == model]
        if len(others) > 1 and (version is None or others.count(version) > 1):
            raise NotSideBySide(f"two models are called {model}: rename the directory of one of them")
