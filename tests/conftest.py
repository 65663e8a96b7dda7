from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.repository import write_repository
from tests.servers import RunningPair, demo_model, running_pair


@pytest.fixture(autouse=True)
def logs_as_at_first() -> Iterator[None]:
    """A command that runs in this process sets how it logs; the next test is not to hear of it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The demo classifier's model directory."""
    return demo_model()


@pytest.fixture(scope="session")
def pair(model_dir: Path) -> Iterator[RunningPair]:
    """Both servers, as `make serve` runs them, shared by all tests that leave them as they found them."""
    with running_pair(model_dir) as running:
        yield running


@pytest.fixture(scope="session")
def repository(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of models: what `tests/repository.py` says. Whoever adds a model takes it away again."""
    return write_repository(tmp_path_factory.mktemp("repository"), model_dir)


@pytest.fixture(scope="session")
def repository_pair(repository: Path) -> Iterator[RunningPair]:
    """Both servers before that repository, with loading and unloading allowed."""
    flags = ["--model_control=true"]
    with running_pair(repository, flags, flags) as running:
        yield running
