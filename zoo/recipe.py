"""What a recipe is: a package that can be downloaded, and a function that turns it into a model's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

LABELS = resources.files("zoo").joinpath("labels")
"""The lists of labels that the zoo brings, since packages of weights seldom do."""

Progress = Callable[[str], None]
"""Called with a short sentence at the start of each step."""


@dataclass(frozen=True, slots=True)
class Package:
    """One archive of one release of a package, pinned by its digest."""

    name: str
    version: str
    filename: str
    """The archive's file name on the index: a wheel, or a `.tgz` of npm."""
    sha256: str
    """Hex, over the archive's bytes."""
    index: Literal["PyPI", "npm"] = "PyPI"
    """The kind of index. Which host that is, is the user's own configuration."""

    def __str__(self) -> str:
        """Return the index and the release, as its own client writes it."""
        pin = "@" if self.index == "npm" else "=="
        return f"{self.index} {self.name}{pin}{self.version}"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What an archive gives for a model directory, in memory. The same archive gives the same bytes every time."""

    onnx: bytes
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
    """The licence that the package states, as an SPDX identifier. The summary says where its weights are another's."""
    contract: str
    """`model.yaml`."""
    build: Callable[[Path], ModelFiles]
    """From the downloaded archive to the model's files. Runs no code of the package."""


def labels_of(name: str) -> str:
    """Return a list of labels, one a line, such as `coco-80`."""
    return LABELS.joinpath(f"{name}.txt").read_text(encoding="utf-8")
