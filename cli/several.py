"""Several model directories as one repository, for two servers that read one folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from serving.contract.repository import MODEL_NAME, is_repository


class NotSideBySide(ValueError):
    """Folders that cannot be served together; the message says what would be right."""


@contextmanager
def side_by_side(directories: Sequence[Path], name: str | None) -> Iterator[tuple[Path, str]]:
    """Give the folder to serve, and the name of the model that is asked by default, for the length of the block.

    One directory is served as it is, under `name` or its own. Several are linked into a repository, each under its own.

    Raises:
        NotSideBySide: their names do not go together, or one of them is a repository itself.
    """
    if len(directories) == 1:
        yield directories[0], name or directories[0].name
        return
    _check(directories, name)
    with TemporaryDirectory(prefix="kserve-vision-") as folder:
        for directory in directories:
            (Path(folder) / directory.name).symlink_to(directory, target_is_directory=True)
        yield Path(folder), directories[0].name


def _check(directories: Sequence[Path], name: str | None) -> None:
    if name is not None:
        raise NotSideBySide(f"--name {name} is for a single model; several have the names of their directories")
    names = [directory.name for directory in directories]
    for directory in directories:
        if is_repository(directory):
            raise NotSideBySide(f"{directory} is a repository of models: serve it alone, or its model directories")
        if not MODEL_NAME.fullmatch(directory.name):
            raise NotSideBySide(
                f"{str(directory)!r}: among several, a model's name is of A-Z, a-z, 0-9, '.', '_' and '-' only"
            )
        if names.count(directory.name) > 1:
            raise NotSideBySide(f"two models are called {directory.name}: rename the directory of one of them")
