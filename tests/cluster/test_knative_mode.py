"""What KServe makes of an InferenceService in Knative mode, behind Istio."""

from __future__ import annotations

from typing import Any

from tests.cluster.cluster import Cluster
from tests.cluster.examples import container, inference_service, predictor, stored
from tests.cluster.kinds import DEPLOYMENT, INFERENCE_SERVICE, KNATIVE_SERVICE, VIRTUAL_SERVICE
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node

STABLE, CANDIDATE = stored("s3://models/1"), stored("s3://models/2")
TAGGED = {"serving.kserve.io/enable-tag-routing": "true"}


def _traffic(service: Manifest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service["spec"]["traffic"]
    return found


def _with_canary(cluster: Cluster, percent: int, annotations: dict[str, str] | None = None) -> str:
    """A namespace where a first version is rolled out and a second is asked for with `percent` of the traffic."""
    namespace = cluster.namespace()
    cluster.apply(inference_service(predictor(STABLE), annotations=annotations), namespace)
    Node(cluster).make_ready("demo", namespace)
    second = predictor(CANDIDATE, canaryTrafficPercent=percent)
    cluster.apply(inference_service(second, annotations=annotations), namespace)
    return namespace


def test_a_container_becomes_a_knative_service_and_a_virtual_service(knative: Cluster) -> None:
    namespace = knative.namespace()
    knative.apply(inference_service(predictor()), namespace)
    service = Node(knative).make_ready("demo", namespace)
    assert service["status"]["url"] == f"http://demo.{namespace}.example.com"
    assert service["status"]["components"]["predictor"]["latestRolledoutRevision"] == "demo-predictor-00001"
    assert _traffic(knative.wait_for(KNATIVE_SERVICE, "demo-predictor", namespace)) == [
        {"latestRevision": True, "percent": 100}
    ]
    assert knative.get(VIRTUAL_SERVICE, "demo", namespace) is not None
    assert knative.get(DEPLOYMENT, "demo-predictor", namespace) is None


def test_a_canary_gets_its_share_and_the_rest_goes_to_the_revision_before(knative: Cluster) -> None:
    namespace = _with_canary(knative, 30)
    service = knative.wait_for(KNATIVE_SERVICE, "demo-predictor", namespace, lambda each: len(_traffic(each)) > 1)
    assert _traffic(service) == [
        {"latestRevision": True, "percent": 30},
        {"latestRevision": False, "percent": 70, "revisionName": "demo-predictor-00001", "tag": "prev"},
    ]


def test_tag_routing_names_the_candidate_too(knative: Cluster) -> None:
    namespace = _with_canary(knative, 30, TAGGED)
    service = knative.wait_for(KNATIVE_SERVICE, "demo-predictor", namespace, lambda each: len(_traffic(each)) > 1)
    assert [each["tag"] for each in _traffic(service)] == ["latest", "prev"]


def test_the_status_tells_the_split_once_the_revision_is_ready(knative: Cluster) -> None:
    namespace = _with_canary(knative, 30)
    knative.wait_for(KNATIVE_SERVICE, "demo-predictor", namespace, lambda each: len(_traffic(each)) > 1)
    Node(knative).roll_out("demo-predictor", namespace)
    service = knative.wait_for(
        INFERENCE_SERVICE, "demo", namespace, lambda each: _component(each)["latestReadyRevision"].endswith("00002")
    )
    component = _component(service)
    assert [(each["revisionName"], each["percent"]) for each in component["traffic"]] == [
        ("demo-predictor-00002", 30),
        ("demo-predictor-00001", 70),
    ]
    assert component["latestRolledoutRevision"] == "demo-predictor-00001"


def test_a_percentage_beyond_all_is_passed_on_to_knative(knative: Cluster) -> None:
    namespace = _with_canary(knative, 150)
    service = knative.wait_for(
        KNATIVE_SERVICE, "demo-predictor", namespace, lambda each: _traffic(each)[0]["percent"] != 100
    )
    assert _traffic(service) == [{"latestRevision": True, "percent": 150}]


def test_two_ports_are_passed_on_to_knative_which_allows_one(knative: Cluster) -> None:
    ports = [{"containerPort": port, "protocol": "TCP"} for port in (8080, 8081)]
    namespace = knative.namespace()
    knative.apply(inference_service(predictor(container(ports=ports))), namespace)
    service = knative.wait_for(KNATIVE_SERVICE, "demo-predictor", namespace)
    assert len(service["spec"]["template"]["spec"]["containers"][0]["ports"]) == 2


def _component(service: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = service["status"]["components"]["predictor"]
    return found
