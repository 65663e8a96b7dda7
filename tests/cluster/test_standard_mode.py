"""What KServe makes of an InferenceService in Standard mode, behind Gateway API."""

from __future__ import annotations

from typing import Any

from rollout.kinds import is_true
from tests.cluster.cluster import Cluster
from tests.cluster.examples import canary, container, inference_service, predictor, stored
from tests.cluster.kinds import AUTOSCALER, DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, KNATIVE_SERVICE, SERVICE
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node

STABLE, CANDIDATE = stored("s3://models/1"), stored("s3://models/2")


def _weights(route: Manifest) -> list[dict[str, Any]]:
    """The Services and weights of a route, rule by rule."""
    return [{each["name"]: each["weight"] for each in rule["backendRefs"]} for rule in route["spec"]["rules"]]


def test_a_container_becomes_a_deployment_a_service_and_a_route(standard: Cluster) -> None:
    namespace = standard.namespace()
    standard.apply(inference_service(predictor()), namespace)
    service = Node(standard).make_ready("demo", namespace)
    assert service["status"]["url"] == f"http://demo-{namespace}.example.com"
    assert service["status"]["deploymentMode"] == "Standard"
    ports = standard.wait_for(SERVICE, "demo-predictor", namespace)["spec"]["ports"]
    assert [(each["port"], each["targetPort"]) for each in ports] == [(80, 8080)]
    route = standard.wait_for(HTTP_ROUTE, "demo", namespace)
    assert _weights(route) == [{"demo-predictor": 1}]
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "60s"}
    assert standard.get(KNATIVE_SERVICE, "demo-predictor", namespace) is None


def test_the_deployment_asks_for_resources_and_a_probe_that_nobody_named(standard: Cluster) -> None:
    namespace = standard.namespace()
    standard.apply(inference_service(predictor()), namespace)
    template = standard.wait_for(DEPLOYMENT, "demo-predictor", namespace)["spec"]["template"]["spec"]
    (only,) = template["containers"]
    resources = {"cpu": "1", "memory": "2Gi"}
    assert only["resources"] == {"limits": resources, "requests": resources}
    assert only["readinessProbe"]["tcpSocket"] == {"port": 8080}
    assert not only.keys() & {"livenessProbe", "startupProbe", "securityContext"}
    assert template["terminationGracePeriodSeconds"] == 30
    assert "automountServiceAccountToken" not in template


def test_a_transformer_is_told_its_predictor_and_gets_the_traffic(standard: Cluster) -> None:
    namespace = standard.namespace()
    standard.apply(inference_service(predictor(), transformer=predictor()), namespace)
    Node(standard).make_ready("demo", namespace)
    template = standard.wait_for(DEPLOYMENT, "demo-transformer", namespace)["spec"]["template"]["spec"]
    expected = ["--model_name", "demo", "--predictor_host", f"demo-predictor.{namespace}", "--http_port", "8080"]
    assert template["containers"][0]["args"] == expected
    assert _weights(standard.wait_for(HTTP_ROUTE, "demo", namespace)) == [{"demo-transformer": 1}]


def test_a_canary_percentage_is_ignored_and_all_pods_are_replaced(standard: Cluster) -> None:
    namespace = standard.namespace()
    standard.apply(inference_service(predictor(STABLE)), namespace)
    node = Node(standard)
    node.make_ready("demo", namespace)
    standard.apply(inference_service(predictor(CANDIDATE, canaryTrafficPercent=10)), namespace)
    standard.wait_for(DEPLOYMENT, "demo-predictor", namespace, lambda each: _uri(each) == "s3://models/2")
    assert [each["metadata"]["name"] for each in standard.objects(DEPLOYMENT, namespace)] == ["demo-predictor"]
    assert _weights(standard.wait_for(HTTP_ROUTE, "demo", namespace)) == [{"demo-predictor": 1}]


def test_a_canary_runs_and_is_called_ready_and_gets_no_traffic(standard: Cluster) -> None:
    """What KServe 0.20.0 does: the split came later. Our tools must see that it is not there."""
    namespace = standard.namespace()
    node = Node(standard)
    standard.apply(inference_service(predictor(STABLE, minReplicas=4)), namespace)
    node.make_ready("demo", namespace)
    standard.apply(inference_service(predictor(STABLE, minReplicas=4), canary=[canary(30, CANDIDATE)]), namespace)
    node.run_deployment("demo-v2-predictor", namespace)
    service = standard.wait_for(
        INFERENCE_SERVICE, "demo", namespace, lambda each: is_true(each, "CanaryPredictorReady")
    )
    (status,) = service["status"]["canaryStatuses"]
    assert (status["name"], status["ready"], status["trafficPercent"]) == ("v2", True, 30)
    assert is_true(service, "Ready")
    assert _uri(standard.wait_for(DEPLOYMENT, "demo-v2-predictor", namespace)) == "s3://models/2"
    assert standard.get(SERVICE, "demo-v2-predictor", namespace) is not None
    assert [_weights(each) for each in standard.objects(HTTP_ROUTE, namespace)] == [[{"demo-predictor": 1}]] * 2


def test_a_canarys_replicas_are_taken_from_the_stable_predictor(standard: Cluster) -> None:
    namespace = standard.namespace()
    standard.apply(inference_service(predictor(STABLE, minReplicas=4), canary=[canary(30, CANDIDATE)]), namespace)
    scales = {
        name: standard.wait_for(AUTOSCALER, name, namespace)["spec"] for name in ("demo-predictor", "demo-v2-predictor")
    }
    bounds = {name: (each["minReplicas"], each["maxReplicas"]) for name, each in scales.items()}
    assert bounds == {"demo-predictor": (2, 2), "demo-v2-predictor": (2, 2)}  # two of four, since 30 % are 1.2


def test_the_mode_cannot_be_changed(standard: Cluster) -> None:
    namespace = standard.namespace()
    standard.apply(inference_service(predictor()), namespace)
    Node(standard).make_ready("demo", namespace)
    changed = inference_service(predictor(), annotations={"serving.kserve.io/deploymentMode": "Knative"})
    refused = standard.refusal(changed, namespace)
    assert refused is not None
    assert "deploymentMode cannot be changed" in refused.message


def test_an_older_name_of_the_mode_is_replaced(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    older = inference_service(predictor(), annotations={"serving.kserve.io/deploymentMode": "RawDeployment"})
    (service,) = cluster.apply(older, namespace)
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    cluster.wait_for(DEPLOYMENT, "demo-predictor", namespace)


def test_the_only_container_is_called_kserve_container_whatever_its_name_was(cluster: Cluster) -> None:
    (service,) = cluster.apply(inference_service(predictor(container("mine"))), cluster.namespace())
    assert [each["name"] for each in service["spec"]["predictor"]["containers"]] == ["kserve-container"]


def _uri(deployment: Manifest) -> str:
    environ: list[dict[str, str]] = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return next(each["value"] for each in environ if each["name"] == "STORAGE_URI")
