"""A model directory, read before anything is sent: whether it can be served, and what memory it asks for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from serving.contract import ModelDirectory, load_model_directory

GIT_LFS: Final = b"version https://git-lfs"
MIB: Final = 2**20
STEP_MIB: Final = 256
RUNTIME_MIB: Final = 1024
"""What the runtime asks for where nothing else is said; see manifests/runtimes."""
BASE_MIB: Final = 512
"""A server without a model, and pictures under way."""
COPIES: Final = 3
"""Of the weights, at most, while they are loaded: they are read, rewritten as the graph that is served, and packed."""


class NoModel(ValueError):
    """A folder holds no model that could be served; the message says why."""


def read_model(path: Path) -> ModelDirectory:
    """Read a model directory; its weights must be there, but are not read.

    Raises:
        ContractInvalid: model.yaml is missing or wrong.
        NoModel: the weights are not there.
    """
    directory = load_model_directory(path)
    weights = directory.model_path
    if not weights.is_file():
        raise NoModel(f"{weights}, which model.yaml names, is not there")
    with weights.open("rb") as file:
        head = file.read(len(GIT_LFS))
    if head == GIT_LFS:
        raise NoModel(f"{weights} is a pointer of Git LFS, not the file: run `git lfs pull`")
    if not head:
        raise NoModel(f"{weights} is empty")
    return directory


def size_of(path: Path) -> int:
    """Bytes of all files in a model directory: weights may lie in several."""
    return sum(file.stat().st_size for file in path.iterdir() if file.is_file())


def memory_mib(size: int) -> int | None:
    """MiB of memory to ask for, for a model directory of `size` bytes; None where the runtime asks for enough."""
    needed = math.ceil((BASE_MIB + COPIES * size / MIB) / STEP_MIB) * STEP_MIB
    return needed if needed > RUNTIME_MIB else None
