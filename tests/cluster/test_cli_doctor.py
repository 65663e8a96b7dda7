"""What `kserve-vision doctor` says of clusters as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.cluster.facts import SCHEMA
from tests.cluster.cli_running import MANIFESTS, Done, install_runtimes, kserve_vision, kubeconfig_of
from tests.cluster.cluster import Cluster
from tests.cluster.command_line import CommandFailed
from tests.cluster.control_plane import running_control_plane
from tests.cluster.kinds import CONFIG_MAP, DEPLOYMENT, NODE


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster without KServe."""
    with running_control_plane(tmp_path_factory.mktemp("bare")) as plane, plane.client() as client:
        yield Cluster(plane, client)


def _publishes(cluster: Cluster, path: str) -> bool:
    try:
        return bool(cluster.command_line.kubectl("get", "--raw", path))
    except CommandFailed:
        return False


def _verdicts(done: Done) -> dict[str, str]:
    return {each["subject"]: each["verdict"] for each in json.loads(done.out)}


def _texts(done: Done) -> dict[str, str]:
    return {each["subject"]: each["text"] for each in json.loads(done.out)}


def test_a_cluster_without_kserve_serves_nothing(bare: Cluster) -> None:
    done = kserve_vision(bare.kubeconfig, "doctor")
    assert done.code == 1
    assert "will not work  KServe: this cluster has no InferenceServices; install KServe" in done.out
    for command in ("status", "deploy s3://models/demo --mode standard", "canary status demo"):
        other = kserve_vision(bare.kubeconfig, *command.split())
        assert other.code == 1
        assert "KServe is not installed" in other.err


def test_standard_mode(standard: Cluster) -> None:
    install_runtimes(standard)
    done = kserve_vision(standard.kubeconfig, "doctor", "--json", "-n", standard.namespace())
    assert done.code == 0, done.out
    verdicts, texts = _verdicts(done), _texts(done)
    works = ("KServe", "mode", "runtimes", "Prometheus operator", "KEDA", "storageContainerName", "gRPC from outside")
    assert {verdicts[each] for each in works} == {"ok"}
    assert (verdicts["canaryTrafficPercent"], verdicts["spec.canary"]) == ("will not work", "cannot tell")
    assert texts["canaryTrafficPercent"] == "Standard mode ignores it without a word: all pods are replaced"
    assert texts["KServe"].startswith("0.20 or later, by its CRDs; on Kubernetes v1.")
    assert verdicts["gateway"] == "will not work"
    assert "there is no gateway kserve/kserve-ingress-gateway" in texts["gateway"]


def test_standard_mode_behind_an_ingress_is_rest_only(standard: Cluster) -> None:
    install_runtimes(standard)
    before = standard.get(CONFIG_MAP, "inferenceservice-config", "kserve")
    assert before is not None
    ingress = json.loads(before["data"]["ingress"]) | {"enableGatewayApi": False}
    standard.patch(CONFIG_MAP, "inferenceservice-config", "kserve", {"data": {"ingress": json.dumps(ingress)}})
    try:
        done = kserve_vision(standard.kubeconfig, "doctor", "--json", "-n", standard.namespace())
    finally:
        standard.patch(
            CONFIG_MAP, "inferenceservice-config", "kserve", {"data": {"ingress": before["data"]["ingress"]}}
        )
    verdicts, texts = _verdicts(done), _texts(done)
    assert done.code == 0, done.out
    assert {verdicts[each] for each in ("gateway", "gRPC from outside", "spec.canary")} == {"will not work"}
    assert texts["gRPC from outside"].startswith("REST only: an Ingress leads to the port of REST")
    assert "over REST" in texts["gateway"]


def test_knative_mode(knative: Cluster) -> None:
    install_runtimes(knative)
    done = kserve_vision(knative.kubeconfig, "doctor", "--json", "-n", knative.namespace())
    assert done.code == 0, done.out
    verdicts = _verdicts(done)
    assert {verdicts[each] for each in ("mode", "runtimes", "canaryTrafficPercent", "scale to zero")} == {"ok"}
    assert {verdicts[each] for each in ("spec.canary", "gRPC from outside")} == {"will not work"}


def test_earlier_releases_do_not_know_fields(earlier: Cluster) -> None:
    # The API server publishes the schema of a CRD a moment after it takes objects of it.
    earlier.until(lambda: _publishes(earlier, SCHEMA), f"there is no {SCHEMA}")
    done = kserve_vision(earlier.kubeconfig, "doctor", "--json")
    verdicts, texts = _verdicts(done), _texts(done)
    assert done.code == 1  # there are no runtimes
    assert (verdicts["storageContainerName"], verdicts["spec.canary"]) == ("will not work", "will not work")
    assert texts["KServe"].startswith(("0.15 or earlier", "0.16 to 0.19"))
    assert verdicts["mode"] == "cannot tell"


def test_the_release_that_splits_no_traffic_is_told_by_the_controllers_image(standard: Cluster) -> None:
    labels = {"app": "kserve"}
    images = [{"name": "manager", "image": "kserve/kserve-controller:v0.20.0"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": images}}
    controller = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kserve-controller-manager"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    standard.apply(controller, "kserve")
    try:
        done = kserve_vision(standard.kubeconfig, "doctor", "--json", "-n", standard.namespace())
    finally:
        standard.delete(DEPLOYMENT, "kserve-controller-manager", "kserve")
    assert _verdicts(done)["spec.canary"] == "will not work"
    assert _texts(done)["spec.canary"].endswith("calls it ready, and gives it no traffic")


def test_gpus_are_counted(standard: Cluster) -> None:
    standard.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "with-gpus"}})
    try:
        before = _verdicts(kserve_vision(standard.kubeconfig, "doctor", "--json"))
        resources = {"nvidia.com/gpu": "2"}
        standard.patch(NODE, "with-gpus", "", {"status": {"allocatable": resources, "capacity": resources}}, "status")
        after = _texts(kserve_vision(standard.kubeconfig, "doctor", "--json"))
    finally:
        standard.delete(NODE, "with-gpus", "")
    assert before["GPU"] == "will not work"
    assert after["GPU"] == "2 on the nodes"


def test_the_restricted_level_stops_what_fetches_models(standard: Cluster) -> None:
    done = kserve_vision(standard.kubeconfig, "doctor", "--json", "-n", standard.namespace(enforce="restricted"))
    assert _verdicts(done)["fetching models"] == "will not work"


def test_who_may_read_nothing_is_told_what_could_not_be_told(standard: Cluster, tmp_path: Path) -> None:
    namespace = standard.namespace()
    token = standard.command_line.kubectl("create", "token", "default", "-n", namespace).strip()
    somebody = kubeconfig_of(standard, tmp_path / "somebody", token, namespace=namespace)
    done = kserve_vision(somebody, "doctor", "--json")
    verdicts, texts = _verdicts(done), _texts(done)
    for subject in ("mode", "runtimes", "Pod Security", "GPU"):
        assert verdicts[subject] == "cannot tell"
        assert f"system:serviceaccount:{namespace}:default may not" in texts[subject]
    assert verdicts["storageContainerName"] == "ok"  # the schema is everybody's
    assert "may not patch inferenceservices" in texts[f"apply in {namespace}"]


def test_runtimes_for_the_other_mode_are_noticed(knative: Cluster) -> None:
    knative.apply(knative.command_line.render_kustomize(MANIFESTS / "runtimes/standard"))
    try:
        done = kserve_vision(knative.kubeconfig, "doctor", "--json")
    finally:
        install_runtimes(knative)
    assert done.code == 1
    assert _verdicts(done)["runtime's ports"] == "will not work"
    assert _texts(done)["runtime's ports"].endswith("several ports, where Knative allows one in a pod")
    assert "runtime's ports" not in _verdicts(kserve_vision(knative.kubeconfig, "doctor", "--json"))
