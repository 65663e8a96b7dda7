"""Folders for temporary files that are gone with their process, however that ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "kserve-vision-graph-"

_UNLOCKED: Final = f"new-{PREFIX}"
"""Of folders that nobody has locked yet, which nobody looks for."""


class OwnFolder:
    """A new folder in that for temporary files. Its process holds a lock on it, which ends with the process: whoever
    can have the lock of a folder may delete it. A process' number would not do, since containers may share the folder
    for temporary files, and each counts from 1.
    """

    def __init__(self) -> None:
        """Make one, and delete those of processes that were killed.

        Raises:
            OSError: there is no place for it.
        """
        _delete_forsaken()
        made = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
        try:
            self._lock = os.open(made, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks: nobody else can have it either
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.path = made.rename(made.with_name(made.name.removeprefix("new-")))
        except OSError:
            made.rmdir()
            raise

    def delete(self) -> None:
        """Delete it, and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _delete_forsaken() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is in use, another user's, or was deleted by another process
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
