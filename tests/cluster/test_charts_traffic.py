"""How many replicas KServe keeps for the model's chart, and how it shares the traffic between versions."""

from __future__ import annotations

import pytest

from tests.cluster.charts_platform import Installed
from tests.cluster.charts_releases import FIRST, KEDA, RESTRICTED, V2, Release
from tests.cluster.command_line import CommandFailed
from tests.cluster.kinds import (
    AUTOSCALER,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    POLICY_BINDING,
    SCALED_OBJECT,
)
from tests.cluster.kserve import Mode
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node
from tests.cluster.refusal import Refused


def test_replicas_are_fixed_without_an_autoscaler(in_standard: Installed) -> None:
    release = in_standard.release({"autoscaling": {"minReplicas": 3}})
    assert release.workload("demo-predictor")["spec"]["replicas"] == 3
    assert in_standard.cluster.objects(AUTOSCALER, release.namespace) == []


def test_hpa_follows_the_cpu(in_standard: Installed) -> None:
    release = in_standard.release({"autoscaling": {"type": "hpa", "minReplicas": 2, "maxReplicas": 5, "target": 70}})
    spec = in_standard.cluster.wait_for(AUTOSCALER, "demo-predictor", release.namespace)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    (metric,) = spec["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}


def test_keda_follows_the_load_of_the_pods(in_standard: Installed) -> None:
    release = in_standard.release(KEDA | {"topology": "separate", "transformer": {"maxReplicas": 9}})
    for component, most in (("predictor", 4), ("transformer", 9)):
        spec = in_standard.cluster.wait_for(SCALED_OBJECT, f"demo-{component}", release.namespace)["spec"]
        assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, most)
        (trigger,) = spec["triggers"]
        assert trigger["type"] == "prometheus"
        assert trigger["metadata"] == {
            "serverAddress": "http://prometheus.monitoring:9090",
            "query": (
                f'sum(max by (pod) (kserve_vision_load{{namespace="{release.namespace}",'
                f'serving_kserve_io_inferenceservice="demo",component="{component}"}}))'
            ),
            "threshold": "0.8",
        }


@pytest.mark.parametrize("metric", ["concurrency", "rps"])
def test_knative_follows_the_requests_down_to_nothing(in_knative: Installed, metric: str) -> None:
    scaling = {"type": metric, "minReplicas": 0, "maxReplicas": 3, "target": 20, "containerConcurrency": 50}
    template = in_knative.release({"autoscaling": scaling}).template()
    found = {key.rpartition("/")[2]: value for key, value in template["metadata"]["annotations"].items()}
    assert (found["min-scale"], found["max-scale"], found["metric"], found["target"]) == ("0", "3", metric, "20")
    assert template["spec"]["containerConcurrency"] == 50


def test_concurrency_does_not_start_workers_beside_a_separate_transformer(in_knative: Installed) -> None:
    scaling = {"type": "concurrency", "maxReplicas": 3, "containerConcurrency": 50}
    (transformer,) = in_knative.release({"topology": "separate", "autoscaling": scaling}).template("transformer")[
        "spec"
    ]["containers"]
    assert [each for each in transformer["args"] if each.startswith("--workers")] == ["--workers=1"]


def test_a_new_version_gets_its_share_in_knative_mode(in_knative: Installed) -> None:
    release = in_knative.release({})
    Node(in_knative.cluster).make_ready("demo", release.namespace)
    second = {"mode": "Knative", "storage": {"uri": "s3://models/v2"}}
    release.install(second | {"canary": {"trafficPercent": 30, "tagRouting": True}})
    service = in_knative.cluster.wait_for(
        KNATIVE_SERVICE, "demo-predictor", release.namespace, lambda each: len(each["spec"]["traffic"]) > 1
    )
    assert [(each["percent"], each["tag"]) for each in service["spec"]["traffic"]] == [(30, "latest"), (70, "prev")]


def test_without_its_percentage_a_version_gets_all_the_traffic(in_knative: Installed) -> None:
    release = in_knative.release({})
    node = Node(in_knative.cluster)
    node.make_ready("demo", release.namespace)
    second = {"mode": "Knative", "storage": {"uri": "s3://models/v2"}}
    release.install(second | {"canary": {"trafficPercent": 30}})
    cluster = in_knative.cluster
    cluster.wait_for(
        KNATIVE_SERVICE, "demo-predictor", release.namespace, lambda each: len(each["spec"]["traffic"]) > 1
    )
    release.install(second)
    cluster.wait_for(
        KNATIVE_SERVICE,
        "demo-predictor",
        release.namespace,
        lambda each: each["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}],
    )


def test_a_percentage_that_another_set_is_not_overwritten_silently(in_knative: Installed) -> None:
    """helm applies on the server's side: a field that somebody else wrote since is a conflict."""
    release = in_knative.release({"canary": {"trafficPercent": 10}})
    change = {"spec": {"predictor": {"canaryTrafficPercent": 50}}}
    in_knative.cluster.patch(INFERENCE_SERVICE, "demo", release.namespace, change)
    with pytest.raises(CommandFailed, match=r"(?s)conflict.*canaryTrafficPercent"):
        release.install({"mode": "Knative", "canary": {"trafficPercent": 20}})


def test_a_candidate_runs_beside_the_model_in_standard_mode(in_standard: Installed) -> None:
    env = [{"name": "INSTANCES", "value": "2"}]
    release = in_standard.release({"predictor": {"env": env}, "canary": {"candidates": [V2]}} | RESTRICTED)
    stable, candidate = release.template(), release.template(candidate="v2")
    assert _source(stable) == FIRST
    assert _source(candidate) == "s3://models/v2"
    for template in (stable, candidate):
        assert env[0] in template["spec"]["containers"][0]["env"]
        Node(in_standard.cluster).admit_pod(template, release.namespace)


def test_every_pod_has_the_labels_that_alerts_select_by(installed: Installed) -> None:
    canary = {"canary": {"candidates": [V2]}} if installed.mode is Mode.STANDARD else {}
    collocated, apart = installed.release(canary), installed.release({"topology": "separate"})
    labels = {
        "stable": collocated.template(),
        "candidate": collocated.template(candidate="v2" if canary else ""),
        "predictor": apart.template(),
        "transformer": apart.template("transformer"),
    }
    found = {what: _selected(each["metadata"]["labels"]) for what, each in labels.items()}
    predictor = ("demo", "predictor")
    assert found == dict.fromkeys(found, predictor) | {"transformer": ("demo", "transformer")}


def _selected(labels: dict[str, str]) -> tuple[str, str]:
    return labels["serving.kserve.io/inferenceservice"], labels["component"]


def test_keda_beside_a_candidate_would_fail(in_standard: Installed) -> None:
    """Why the chart and the policy refuse it: the candidate's autoscaler would have no trigger."""
    cluster = in_standard.cluster
    release = in_standard.release(KEDA)
    release.template()
    candidate = {"name": "v2", "model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://models/v2"}}
    cluster.delete(POLICY_BINDING, "kserve-vision")
    change = {"spec": {"canary": [{"trafficPercent": 10, "predictor": candidate}]}}
    cluster.until(lambda: _patched(release, change), "the policy still holds")
    cluster.until(
        lambda: "spec.triggers" in "\n".join(cluster.events("demo", release.namespace)), "KServe did not fail"
    )


def test_a_candidate_gets_no_traffic_of_this_kserve_and_the_notes_say_how_to_see(in_standard: Installed) -> None:
    release = Release(in_standard.cluster, in_standard.cluster.namespace())
    notes = release.install({"mode": "Standard", "canary": {"candidates": [V2]}})
    assert f"kubectl -n {release.namespace} get httproute demo" in notes
    node = Node(in_standard.cluster)
    node.make_ready("demo", release.namespace)
    route = in_standard.cluster.wait_for(HTTP_ROUTE, "demo", release.namespace)
    backends = {each["name"] for rule in route["spec"]["rules"] for each in rule["backendRefs"]}
    assert backends == {"demo-predictor"}


def _patched(release: Release, change: Manifest) -> bool:
    """Whether the InferenceService took a change; a policy that was deleted holds for a moment more."""
    try:
        release.cluster.patch(INFERENCE_SERVICE, release.name, release.namespace, change)
    except Refused:
        return False
    return True


def _source(template: Manifest) -> str:
    annotations: dict[str, str] = template["metadata"]["annotations"]
    return annotations["internal.serving.kserve.io/storage-initializer-sourceuri"]
