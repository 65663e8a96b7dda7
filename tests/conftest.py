from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RunningPair, demo_model, running_pair


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The demo classifier's model directory."""
    return demo_model()


@pytest.fixture(scope="session")
def pair(model_dir: Path) -> Iterator[RunningPair]:
    """Both servers, as `make serve` runs them, shared by all tests that leave them as they found them."""
    with running_pair(model_dir) as running:
        yield running
