"""Files that a long run is to write, checked before it begins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import typer

PLOT: Final = ".png"
"""How the name of a plot ends."""


def check_outputs(out: Path | None, plot: Path | None = None) -> None:
    """Make sure that a report and a plot can be written; the folders that they are to lie in are made.

    Raises:
        typer.BadParameter: one cannot, with its option's name and the reason.
    """
    given: Mapping[str, Path] = {option: path for option, path in (("--out", out), ("--plot", plot)) if path}
    if plot is not None and plot.suffix.lower() != PLOT:
        raise typer.BadParameter(f"--plot {plot}: plots are PNG, so a name that ends with {PLOT} is expected")
    if out is not None and plot is not None and out.resolve() == plot.resolve():
        raise typer.BadParameter(f"--out and --plot are both {out}: give each a file of its own")
    for option, path in given.items():
        try:
            _check(path)
        except OSError as error:
            raise typer.BadParameter(
                f"{option} {path} cannot be written: {error.strerror}; give a file in a folder that you may write to"
            ) from error


def _check(path: Path) -> None:
    if path.exists() and not path.is_file():
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if not os.access(path, os.W_OK):
            raise PermissionError(0, "permission denied")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    path.open("ab").close()  # more than the permission bits tell: the file system may be read-only
    if is_new:
        path.unlink()
