"""What KServe makes of each overlay for Standard mode."""

from __future__ import annotations

import json

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.examples import container, inference_service, predictor
from tests.cluster.kinds import (
    AUTOSCALER,
    DEPLOYMENT,
    HTTP_ROUTE,
    INFERENCE_GRAPH,
    INFERENCE_SERVICE,
    SCALED_OBJECT,
    SERVICE,
)
from tests.cluster.kserve import Mode
from tests.cluster.manifests import Manifest
from tests.cluster.overlays import Deployed, about, containers, deployed, environment
from tests.cluster.refusal import Refused, Refuser


def _ports(found: Deployed, service: str) -> dict[int, int]:
    """A Service's ports and the containers' behind them."""
    manifest = found.cluster.wait_for(SERVICE, service, found.namespace)
    return {each["port"]: each["targetPort"] for each in manifest["spec"]["ports"]}


def _backends(found: Deployed, route: str = "model") -> set[str]:
    manifest = found.cluster.wait_for(HTTP_ROUTE, route, found.namespace)
    return {each["name"] for rule in manifest["spec"]["rules"] for each in rule["backendRefs"]}


def _deployment(found: Deployed, name: str = "model-predictor") -> Manifest:
    spec: Manifest = found.cluster.wait_for(DEPLOYMENT, name, found.namespace)["spec"]
    return spec


@about(Mode.STANDARD, "collocated")
def test_one_pod_has_both_containers_joined_by_a_socket(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    pod = found.pod()
    both = containers(pod)
    predictor, transformer = both["kserve-container"], both["transformer-container"]
    socket = environment(predictor)["UNIX_SOCKET"]
    assert environment(transformer)["PREDICTOR_HOST"] == f"unix://{socket}"
    for each in (predictor, transformer):
        places = {mount["mountPath"]: mount["name"] for mount in each["volumeMounts"]}
        assert places["/run/kserve-vision"] == "run"
        assert places["/mnt/models"] == "kserve-provision-location"
    assert both["storage-initializer"]["args"] == ["s3://my-bucket/my-model/", "/mnt/models"]
    assert predictor["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": 8090, "scheme": "HTTP"}


@about(Mode.STANDARD, "collocated")
def test_rest_and_grpc_are_routed_to_the_transformer(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    assert _ports(found, "model-predictor") == {80: 8080, 8081: 8081}
    assert _backends(found) == {"model-predictor"}
    rules = standard.wait_for(HTTP_ROUTE, "model", found.namespace)["spec"]["rules"]
    assert [rule["backendRefs"][0]["port"] for rule in rules] == [8081, 80]
    assert "application/grpc" in rules[0]["matches"][0]["headers"][0]["value"]


@about(Mode.STANDARD, "collocated")
def test_the_pod_outlives_its_drain_and_nothing_scales_it(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    spec = found.templates["model-predictor"]["spec"]
    settings = environment(containers(found.templates["model-predictor"])["kserve-container"])
    drain = float(settings["DRAIN_DELAY_SECONDS"]) + float(settings["DRAIN_TIMEOUT_SECONDS"])
    assert drain < spec["terminationGracePeriodSeconds"] == 30
    assert _deployment(found)["replicas"] == 1
    assert not standard.objects(AUTOSCALER, found.namespace)


@about(Mode.STANDARD, "collocated")
def test_pods_of_one_version_are_spread(standard: Cluster, overlay: str) -> None:
    """The labels that the constraint names are those that KServe gives."""
    found = deployed(standard, overlay)
    template = found.templates["model-predictor"]
    for each in template["spec"]["topologySpreadConstraints"]:
        needed = {expression["key"] for expression in each["labelSelector"]["matchExpressions"]} | {"app"}
        assert needed <= template["metadata"]["labels"].keys()


@about(Mode.STANDARD, "gpu")
def test_the_predictor_gets_one_gpu(standard: Cluster, overlay: str) -> None:
    both = containers(deployed(standard, overlay).pod())
    predictor = both["kserve-container"]
    assert predictor["image"].endswith("-gpu")
    assert predictor["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert environment(predictor)["DEVICE"] == "cuda"
    assert "nvidia.com/gpu" not in both["transformer-container"]["resources"]["limits"]


@about(Mode.STANDARD, "gpu", "separate-transformer-gpu")
def test_pods_with_a_gpu_may_run_on_nodes_that_are_kept_for_them(standard: Cluster, overlay: str) -> None:
    tolerations = deployed(standard, overlay).templates["model-predictor"]["spec"]["tolerations"]
    assert tolerations == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


@about(Mode.STANDARD, "separate-transformer", "separate-transformer-gpu")
def test_a_transformer_of_its_own_asks_the_predictors_pods_over_grpc(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    (transformer,) = [each for each in containers(found.pod("model-transformer")).values() if "ports" in each]
    assert transformer["args"] == [
        "--workers=1",
        "--predictor_protocol=grpc-v2",
        "--predictor_host=$(INFERENCE_SERVICE_NAME)-pods:8081",
        "--model_name",
        "model",
        "--http_port",
        "8080",
    ]
    headless = standard.wait_for(SERVICE, "model-pods", found.namespace)["spec"]
    assert headless["clusterIP"] == "None"
    predictor, other = found.templates["model-predictor"], found.templates["model-transformer"]
    assert headless["selector"].items() <= predictor["metadata"]["labels"].items()
    assert not headless["selector"].items() <= other["metadata"]["labels"].items()
    assert _ports(found, "model-pods") == {8081: 8081}
    assert 8081 in {port["containerPort"] for port in containers(predictor)["kserve-container"]["ports"]}


@about(Mode.STANDARD, "separate-transformer", "separate-transformer-gpu")
def test_both_read_the_same_model_and_requests_go_to_the_transformer(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    fetched = [containers(found.pod(each))["storage-initializer"]["args"] for each in sorted(found.templates)]
    assert fetched == [["s3://my-bucket/my-model/", "/mnt/models"]] * 2
    assert _backends(found) == {"model-transformer"}


def test_kserve_caps_a_transformer_that_names_no_limit(standard: Cluster) -> None:
    """And a predictor of containers; not one that names a runtime."""
    namespace = standard.namespace()
    standard.apply(inference_service(predictor(), transformer=predictor()), namespace)
    template = standard.wait_for(DEPLOYMENT, "demo-transformer", namespace)["spec"]["template"]
    whole = {"cpu": "1", "memory": "2Gi"}
    assert containers(template)["kserve-container"]["resources"] == {"limits": whole, "requests": whole}


def test_a_transformer_that_asks_for_more_than_that_gets_no_pods(standard: Cluster) -> None:
    namespace = standard.namespace()
    transformer = predictor(container(resources={"requests": {"cpu": "4"}}))
    standard.apply(inference_service(predictor(), transformer=transformer), namespace)

    def said(service: Manifest) -> str:
        conditions = service.get("status", {}).get("conditions", ())
        return " ".join(each.get("message", "") for each in conditions if each["type"] == "TransformerReady")

    service = standard.wait_for(INFERENCE_SERVICE, "demo", namespace, said)
    assert "must be less than or equal to cpu limit of 1" in said(service)


@about(Mode.STANDARD, "separate-transformer-gpu")
def test_one_predictor_with_a_gpu_has_four_transformers(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    assert (_deployment(found)["replicas"], _deployment(found, "model-transformer")["replicas"]) == (1, 4)
    predictor = containers(found.templates["model-predictor"])["kserve-container"]
    assert predictor["resources"]["limits"]["nvidia.com/gpu"] == "1"


@about(Mode.STANDARD, "canary")
def test_a_canary_runs_beside_the_rest_and_gets_nothing_of_this_kserve(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    assert (_deployment(found)["replicas"], _deployment(found, "model-v2-predictor")["replicas"]) == (3, 1)
    models = [containers(found.pod(each))["storage-initializer"]["args"][0] for each in sorted(found.templates)]
    assert models == ["s3://my-bucket/my-model/", "s3://my-bucket/my-model-v2/"]
    assert _backends(found) == {"model-predictor"}  # KServe 0.20 has no split: see test_standard_mode.py


@about(Mode.STANDARD, "canary")
def test_a_canary_has_all_that_the_runtime_and_the_stable_pods_have(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    stable, candidate = (found.templates[name]["spec"] for name in ("model-predictor", "model-v2-predictor"))
    assert candidate == stable


@about(Mode.STANDARD, "hpa")
def test_the_autoscaler_is_kubernetes_own(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    spec = found.only(AUTOSCALER)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 10)
    (metric,) = spec["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    # What it reckons with: without a request in each container it knows nothing.
    requests = [
        each["resources"]["requests"]["cpu"] for each in containers(found.templates["model-predictor"]).values()
    ]
    assert requests == ["1", "1"]


@about(Mode.STANDARD, "keda")
def test_keda_scales_by_a_sum_since_it_divides_by_the_pods(standard: Cluster, overlay: str) -> None:
    """A trigger without a metric type is an average value to KEDA: what the query says, over the number of pods."""
    found = deployed(standard, overlay)
    spec = found.only(SCALED_OBJECT)["spec"]
    (trigger,) = spec["triggers"]
    assert (trigger["type"], trigger["metadata"]["threshold"], "metricType" in trigger) == ("prometheus", "0.8", False)
    assert trigger["metadata"]["query"].startswith("sum(max by (namespace, pod) (kserve_vision_load{")
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 10)
    assert not standard.objects(AUTOSCALER, found.namespace)


@about(Mode.STANDARD, "keda")
def test_the_query_names_labels_that_the_monitor_takes_from_the_pods(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    (monitor,) = found.rendered_kind("PodMonitor")
    label = "serving.kserve.io/inferenceservice"
    assert label in monitor["spec"]["podTargetLabels"]
    labels = found.templates["model-predictor"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    query = found.only(SCALED_OBJECT)["spec"]["triggers"][0]["metadata"]["query"]
    assert f'{label.replace(".", "_").replace("/", "_")}="{labels[label]}"' in query


@about(Mode.STANDARD, "keda")
def test_prometheus_reaches_both_containers(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    (policy,) = found.rendered_kind("NetworkPolicy")
    (rule,) = [each for each in policy["spec"]["ingress"] if "monitoring" in str(each["from"])]
    predictor = containers(found.templates["model-predictor"])["kserve-container"]
    assert "ports" not in predictor  # what the second endpoint's relabelings reckon with
    assert [each["port"] for each in rule["ports"]] == [8080, int(environment(predictor)["HTTP_PORT"])]


@about(Mode.STANDARD, "inference-graph")
def test_a_graph_asks_one_model_by_name_or_all(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    (router,) = found.templates["vision"]["spec"]["containers"]
    graph = json.loads(router["args"][1])
    paths = [f"/v1/models/{name}-model:predict" for name in ("classifier", "detector")]
    asked = [each["serviceUrl"] for each in graph["nodes"]["all"]["steps"]]
    assert [url[url.index("/v1") :] for url in asked] == paths
    named = [each.get("serviceUrl", each.get("nodeName")) for each in graph["nodes"]["root"]["steps"]]
    assert named == [*asked, "all"]
    assert standard.get(INFERENCE_GRAPH, "vision", found.namespace) is not None


@about(Mode.STANDARD, "inference-graph")
def test_the_graphs_pods_reach_the_models(standard: Cluster, overlay: str) -> None:
    found = deployed(standard, overlay)
    (policy,) = [each["spec"] for each in found.rendered_kind("NetworkPolicy") if each["metadata"]["name"] == "vision"]
    caller = policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert caller.items() <= found.templates["vision"]["metadata"]["labels"].items()
    for name in ("classifier-model-predictor", "detector-model-predictor"):
        labels = found.templates[name]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()


@about(Mode.STANDARD, "inference-graph")
def test_a_graph_is_not_reached_from_outside(standard: Cluster, overlay: str) -> None:
    """KServe 0.20 makes it a Service and no route."""
    found = deployed(standard, overlay)
    assert _ports(found, "vision") == {80: 8080}
    routes = {each["metadata"]["name"] for each in standard.objects(HTTP_ROUTE, found.namespace)}
    assert {"classifier-model", "detector-model"} <= routes
    assert "vision" not in routes


@about(Mode.STANDARD, "inference-graph")
def test_the_graphs_router_does_not_pass_the_restricted_level(standard: Cluster, overlay: str) -> None:
    """KServe gives it no seccomp profile, and an InferenceGraph has no field for one."""
    found = deployed(standard, overlay)
    with pytest.raises(Refused) as refused:
        found.pod("vision", standard.namespace(enforce="restricted"))
    assert refused.value.by is Refuser.POD_SECURITY
    assert "seccompProfile" in refused.value.message
