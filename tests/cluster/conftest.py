"""The clusters of these tests, one for each mode of KServe, started when the first test asks for one.

These tests run where somebody asks for them (`make test-cluster`): they need tools that take minutes to build.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.charts_platform import Installed, installed_platform
from tests.cluster.cluster import Cluster
from tests.cluster.command_line import CommandLine
from tests.cluster.control_plane import running_control_plane
from tests.cluster.kserve import Mode, install_crds, install_kserve
from tools.cache import located

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with KServe in Standard mode, behind Gateway API."""
    with _running_kserve(Mode.STANDARD, tmp_path_factory) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def knative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with KServe in Knative mode, behind Istio."""
    with _running_kserve(Mode.KNATIVE, tmp_path_factory) as cluster:
        yield cluster


@pytest.fixture(params=["standard", "knative"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each cluster in turn, for what holds in both modes."""
    found: Cluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session", params=["0.15", "0.17", "0.19"])
def earlier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that has an earlier release's CRDs, and nothing else of KServe: what its schemas say, and no more."""
    with _running_bare(f"kserve-{request.param}", tmp_path_factory) as cluster:
        install_crds(cluster, located(f"kserve-crds-{request.param}") / "config/crd/full")
        yield cluster


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """helm and kustomize without a cluster."""
    return CommandLine(tmp_path)


@pytest.fixture(scope="module")
def in_standard(standard: Cluster) -> Iterator[Installed]:
    """The cluster in Standard mode, with the platform's chart for as long as a module's tests run."""
    with installed_platform(standard, Mode.STANDARD) as installed:
        yield installed


@pytest.fixture(scope="module")
def in_knative(knative: Cluster) -> Iterator[Installed]:
    """The cluster in Knative mode, with the platform's chart for as long as a module's tests run."""
    with installed_platform(knative, Mode.KNATIVE) as installed:
        yield installed


@pytest.fixture(params=["standard", "knative"])
def installed(request: pytest.FixtureRequest) -> Installed:
    """Each cluster in turn, with the platform's chart."""
    found: Installed = request.getfixturevalue(f"in_{request.param}")
    return found


@contextmanager
def _running_kserve(mode: Mode, factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with _running_bare(mode.value.lower(), factory) as cluster:
        install_kserve(cluster, mode)
        yield cluster


@contextmanager
def _running_bare(name: str, factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_control_plane(factory.mktemp(name)) as plane, plane.client() as client:
        yield Cluster(plane, client)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Stay out of a run that names the whole of `tests`, or nothing."""
    named = [Path(argument.split("::")[0]).absolute() for argument in config.args]
    return None if any(each.is_relative_to(HERE) for each in named) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one cluster in one worker process (`--dist=loadgroup`), so that none is started twice."""
    for item in items:
        used = set(getattr(item, "fixturenames", ())) | {str(each) for each in _parameters(item)}
        for name in ("standard", "knative", "earlier"):
            if name in used:
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show a failed test's reader what the servers logged last."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]  # the report, which the hook's type does not tell
        for cluster in {each for each in getattr(item, "funcargs", {}).values() if isinstance(each, Cluster)}:
            for daemon in cluster.plane.daemons:
                report.sections.append((f"{daemon.name}, logged in {daemon.log}", daemon.tail(15)))  # type: ignore[attr-defined]
    return report


def _parameters(item: pytest.Item) -> list[object]:
    callspec = getattr(item, "callspec", None)
    return list(callspec.params.values()) if callspec is not None else []
