"""Tests of the container images, which `make test-images` builds and runs.

`make test` leaves them out: they need root, podman and images that were built from this checkout, which takes minutes
and a package index, since an image is installed anew. All of that belongs to this folder alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.doors import Client
from tests.photos import encoded, photo
from tests.servers import MODEL

from .containers import USER, Container, free_ports, image_of, is_built, running

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "images: needs the container images, which `make test-images` builds")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark all of this folder, and leave them out unless the mark was asked for."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.images)
    if "images" not in config.option.markexpr:
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    missing = [image for name in ("predictor", "transformer", "edge") if not is_built(image := image_of(name))]
    assert not missing, f"{missing} are not built: run `make test-images`"


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A photograph of a cat, JPEG."""
    return encoded(photo("chelsea"), "JPEG")


@pytest.fixture(scope="session")
def predictor(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Container, Path]]:
    """A predictor on a Unix socket, and the folder that holds it."""
    folder = tmp_path_factory.mktemp("socket")
    os.chown(folder, USER, USER)
    flags = ["--unix_socket=/run/kserve-vision/predictor.sock", f"--model_name={MODEL}"]
    with running("predictor", free_ports(), flags, models=model_dir, shared=folder) as container:
        container.wait_ready()
        yield container, folder


@pytest.fixture(scope="session")
def transformer(predictor: tuple[Container, Path], model_dir: Path) -> Iterator[Container]:
    """A transformer before that predictor."""
    flags = ["--predictor_host=unix:///run/kserve-vision/predictor.sock", f"--model_name={MODEL}"]
    with running("transformer", free_ports(), flags, models=model_dir, shared=predictor[1]) as container:
        container.wait_ready()
        yield container


@pytest.fixture(scope="session")
def edge(model_dir: Path) -> Iterator[Container]:
    """Both in one process."""
    with running("edge", free_ports(), [f"--model_name={MODEL}"], models=model_dir) as container:
        container.wait_ready()
        yield container


@pytest.fixture(params=["predictor", "transformer", "edge"])
def server(request: pytest.FixtureRequest) -> Container:
    """Each of the running servers."""
    found = request.getfixturevalue(request.param)
    return found if isinstance(found, Container) else found[0]


@pytest.fixture(params=["transformer", "edge"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Connections to each server that takes pictures."""
    client = Client(request.getfixturevalue(request.param).as_server())
    yield client
    client.close()
