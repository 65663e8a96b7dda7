"""What a recipe is: a package that can be downloaded, and a function that turns it into a model's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str], None]
"""Called with a short sentence at the start of each step."""


@dataclass(frozen=True, slots=True)
class Package:
    """One archive of one release of a package, pinned by its digest."""

    name: str
    version: str
    filename: str
    """The archive's file name on the index, a wheel."""
    sha256: str
    """Hex, over the archive's bytes."""
    index: str = "PyPI"
    """The kind of index. Which host that is, is the user's own configuration."""

    def __str__(self) -> str:
        return f"{self.index} {self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The content of a model directory, in memory. The same archive gives the same bytes every time."""

    onnx: bytes
    contract: str
    """`model.yaml`."""
    labels: str
    """`labels.txt`, one label a line."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model of the zoo is made."""

    name: str
    task: str
    summary: str
    """One sentence for people."""
    package: Package
    license: str
    """The licence of the weights, as an SPDX identifier."""
    build: Callable[[Path], ModelFiles]
    """From the downloaded archive to the model's files. Runs no code of the package."""
