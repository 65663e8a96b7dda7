"""Installing and upgrading releases of both charts with helm, and what the notes say of a release."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.charts_platform import Installed
from tests.cluster.charts_releases import EVERYTHING, MODEL, Release
from tests.cluster.kinds import CLUSTER_SERVING_RUNTIME, DEPLOYMENT, INFERENCE_SERVICE, KNATIVE_SERVICE, SERVICE
from tests.cluster.node import Node

TOPOLOGIES = pytest.mark.parametrize("topology", ["collocated", "separate"])
SAID = pytest.mark.parametrize("said", [True, False], ids=["the mode is said", "the cluster decides"])


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
@TOPOLOGIES
def test_an_upgrade_with_the_same_values_changes_no_pod(
    installed: Installed, topology: str, version: str, tmp_path: Path
) -> None:
    """No version of the chart is in a pod; where a release changes its pods, this test has to say so."""
    values = {"mode": installed.mode.value, "topology": topology} | EVERYTHING
    release = installed.release(values)
    release.template("transformer" if topology == "separate" else "predictor")
    before = _workloads(release)
    chart = shutil.copytree(MODEL, tmp_path / "chart")
    told = yaml.safe_load((MODEL / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump(told | {"version": version}))
    release.install(values, chart)
    # KServe has looked at what came before this one.
    Release(installed.cluster, release.namespace, name="later").install(values)
    release.workload("later-predictor")
    service = installed.cluster.get(INFERENCE_SERVICE, "demo", release.namespace)
    assert service is not None
    assert service["metadata"]["generation"] == 1
    after = _workloads(release)
    assert {name: each for name, each in after.items() if not name.startswith("later")} == before


def test_an_upgrade_of_the_platform_with_the_same_values_changes_no_runtime(installed: Installed) -> None:
    before = installed.cluster.objects(CLUSTER_SERVING_RUNTIME)
    notes = installed.upgrade({})
    assert all(f"  {each['metadata']['name']}\n" in notes for each in before)
    assert f"The runtimes for {installed.mode.value} mode" in notes
    after = installed.cluster.objects(CLUSTER_SERVING_RUNTIME)
    assert [each["metadata"]["generation"] for each in after] == [each["metadata"]["generation"] for each in before]


def test_a_change_of_the_runtime_reaches_the_pods_of_its_models(in_standard: Installed) -> None:
    release = in_standard.release({})
    release.template()
    quiet = {"name": "LOG_LEVEL", "value": "WARNING"}
    in_standard.upgrade({"predictor": {"env": [quiet]}})
    in_standard.cluster.wait_for(
        DEPLOYMENT,
        "demo-predictor",
        release.namespace,
        lambda each: quiet in each["spec"]["template"]["spec"]["containers"][0]["env"],
    )
    in_standard.upgrade({})


def test_the_notes_hold_the_address_of_this_release(installed: Installed) -> None:
    cluster = installed.cluster
    for topology, entrance in (("collocated", "predictor"), ("separate", "transformer")):
        release = Release(cluster, cluster.namespace(), name="cats")
        values = {"mode": installed.mode.value, "topology": topology}
        notes = release.install(values)
        assert f"curl -F file=@picture.jpg http://cats-{entrance}.{release.namespace}.svc/predict" in notes
        assert f"kubectl -n {release.namespace} get inferenceservice cats" in notes
        service = Node(cluster).make_ready("cats", release.namespace)
        again = release.install(values)
        assert f"curl -F file=@picture.jpg {service['status']['url']}/predict" in again


def test_the_address_in_the_notes_is_a_service_of_kserves(in_standard: Installed) -> None:
    for topology, entrance in (("collocated", "predictor"), ("separate", "transformer")):
        release = in_standard.release({"topology": topology})
        ports = in_standard.cluster.wait_for(SERVICE, f"demo-{entrance}", release.namespace)["spec"]["ports"]
        assert {each["port"]: each["targetPort"] for each in ports} == {80: 8080, 8081: 8081}


def test_the_helm_test_is_admitted_and_asks_that_address(installed: Installed) -> None:
    release = installed.release({})
    hooks = installed.cluster.command_line.helm("get", "hooks", "demo", "--namespace", release.namespace)
    (pod,) = installed.cluster.apply(hooks.replace("generateName", "name"), release.namespace, dry_run=True)
    (container,) = pod["spec"]["containers"]
    assert container["args"][1:] == [f"http://demo-predictor.{release.namespace}.svc", "300"]


def _workloads(release: Release) -> dict[str, Any]:
    """The templates of all workloads, with their generation: whether KServe wrote anything new."""
    found = [
        *release.cluster.objects(DEPLOYMENT, release.namespace),
        *release.cluster.objects(KNATIVE_SERVICE, release.namespace),
    ]
    return {each["metadata"]["name"]: (each["metadata"]["generation"], each["spec"]["template"]) for each in found}
