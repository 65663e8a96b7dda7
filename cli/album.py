"""A folder of drawn pictures: one file for each picture, and none written over what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from transformer.drawing import DEFAULT_FORMAT


class Album:
    """Names the files of drawn pictures after the pictures."""

    def __init__(self, folder: Path, pictures: Sequence[Path]) -> None:
        """Make the folder where there is none.

        Raises:
            OSError: it cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._taken = {picture.resolve() for picture in pictures}

    def save(self, picture: Path, drawn: bytes) -> Path:
        """Write a drawn picture, and return its path: `NAME.jpg`, or `NAME-2.jpg` where another has that name.

        Raises:
            OSError: it cannot be written.
        """
        names = (picture.stem if number == 1 else f"{picture.stem}-{number}" for number in count(1))
        path = next(path for name in names if (path := self._path(name)).resolve() not in self._taken)
        self._taken.add(path.resolve())
        path.write_bytes(drawn)
        return path

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{DEFAULT_FORMAT.suffix}"
