"""A whole node with KServe in Standard mode, once for all tests of this folder.

These tests run by `make test-node` alone, in namespaces of their own: `python -m tests.node`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import pytest_runtest_makereport
from tests.cluster.control_plane import running_control_plane
from tests.cluster.kserve import Mode, install_kserve
from tests.node.isolation import furnish
from tests.node.machine import join_node
from tests.node.served import Served, install_runtimes, serve
from tests.node.storage import Keys, Store, install_storage_container, open_store
from tests.photos import encoded, photo

__all__ = ["pytest_runtest_makereport"]

HERE = Path(__file__).parent
PATIENCE_S = 180.0


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory, record_testsuite_property: Callable[..., None]) -> Iterator[Cluster]:
    """A cluster of one node that runs pods, with KServe and our runtimes."""
    started = time.monotonic()
    furnish()
    folder = tmp_path_factory.mktemp("node")
    with (
        running_control_plane(folder, "--kubelet-preferred-address-types=InternalIP") as plane,
        plane.client() as client,
    ):
        cluster = Cluster(plane, client)
        cluster.patience_s = PATIENCE_S
        install_kserve(cluster, Mode.STANDARD)
        join_node(cluster)
        install_runtimes(cluster)
        record_testsuite_property("seconds to a node that is ready", round(time.monotonic() - started))
        print(f"\nThe node is ready after {time.monotonic() - started:.0f} s.")
        yield cluster


@pytest.fixture(scope="session")
def served(node: Cluster, model_dir: Path) -> Served:
    """The demo model, ready, in a namespace that enforces the restricted level; whoever changes it puts it back."""
    service = serve(node, model_dir)
    service.wait_available()
    return service


@pytest.fixture
def deployed(node: Cluster) -> Iterator[Callable[..., Served]]:
    """`serve` on the node, for services of one test: they are taken away after it."""
    services: list[Served] = []

    def deploy(directory: Path, **options: object) -> Served:
        services.append(serve(node, directory, **options))  # type: ignore[arg-type]
        return services[-1]

    yield deploy
    for each in services:
        each.kubectl("delete", "inferenceservices", "--all", "--wait=false")


@pytest.fixture(scope="session")
def store(node: Cluster, model_dir: Path) -> Iterator[Store]:
    """A store with the demo model in it, which checks keys, and a storage container for its folder `restricted`."""
    found = Store(node.plane.folder / "store.log")
    found.put(model_dir, "demo", "restricted/demo", "twins/cats", "twins/cats-2")
    found.check_keys()
    install_storage_container(node, "s3://models/restricted/")
    yield found
    found.stop()


@pytest.fixture
def opened(node: Cluster, store: Store) -> Iterator[Callable[..., Served]]:
    """Make namespaces with what opens the store, and take away what runs in them after the test."""
    found: list[Served] = []

    def make(keys: Keys = store.owner, *, enforce: str = "baseline", **where: str) -> Served:
        namespace = node.namespace(enforce=enforce)
        open_store(node, namespace, keys, **where)
        found.append(Served(node, namespace))
        return found[-1]

    yield make
    for each in found:
        each.kubectl("delete", "inferenceservices", "--all", "--wait=false")


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A photograph of a cat, JPEG."""
    return encoded(photo("chelsea"), "JPEG")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Stay out of a run that names the whole of `tests`, or nothing."""
    named = [Path(argument.split("::")[0]).absolute() for argument in config.args]
    return None if any(each.is_relative_to(HERE) for each in named) else True
