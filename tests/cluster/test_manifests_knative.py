"""What KServe makes of each overlay for Knative mode."""

from __future__ import annotations

import json

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.kinds import INFERENCE_SERVICE, KNATIVE_SERVICE, VIRTUAL_SERVICE
from tests.cluster.knative_check import knative_refusals
from tests.cluster.kserve import Mode
from tests.cluster.manifests import Manifest
from tests.cluster.node import Node
from tests.cluster.overlays import ROOT, Deployed, about, containers, deploy, deployed, environment

SCALING = "autoscaling.knative.dev/"


def _scaling(found: Deployed) -> dict[str, str]:
    """What a revision asks of Knative's autoscaler."""
    annotations: dict[str, str] = found.templates["model-predictor"]["metadata"]["annotations"]
    return {key.removeprefix(SCALING): value for key, value in annotations.items() if key.startswith(SCALING)}


def _pod_spec(service: Manifest) -> Manifest:
    spec: Manifest = service["spec"]["template"]["spec"]
    return spec


@about(Mode.KNATIVE, "collocated")
def test_one_pod_has_both_containers_and_one_port(knative: Cluster, overlay: str) -> None:
    found = deployed(knative, overlay)
    both = containers(found.pod())
    socket = environment(both["kserve-container"])["UNIX_SOCKET"]
    assert environment(both["transformer-container"])["PREDICTOR_HOST"] == f"unix://{socket}"
    assert "ports" not in both["kserve-container"]
    assert [(each["name"], each["containerPort"]) for each in both["transformer-container"]["ports"]] == [
        ("http1", 8080)
    ]
    assert _scaling(found) == {"class": "kpa.autoscaling.knative.dev", "min-scale": "1", "max-scale": "1"}
    assert knative.get(VIRTUAL_SERVICE, "model", found.namespace) is not None


@about(Mode.KNATIVE, "gpu")
def test_the_predictor_gets_one_gpu(knative: Cluster, overlay: str) -> None:
    predictor = containers(deployed(knative, overlay).pod())["kserve-container"]
    assert predictor["image"].endswith("-gpu")
    assert predictor["resources"]["limits"]["nvidia.com/gpu"] == "1"


@about(Mode.KNATIVE, "separate-transformer")
def test_a_transformer_of_its_own_asks_the_predictor_over_rest(knative: Cluster, overlay: str) -> None:
    found = deployed(knative, overlay)
    both = [containers(found.pod(each)) for each in sorted(found.templates)]
    assert [each["storage-initializer"]["args"][0] for each in both] == ["s3://my-bucket/my-model/"] * 2
    assert both[1]["kserve-container"]["args"] == [
        "--workers=1",
        "--predictor_protocol=v2",
        "--model_name",
        "model",
        "--predictor_host",
        f"model-predictor.{found.namespace}",
        "--http_port",
        "8080",
    ]
    route = knative.wait_for(VIRTUAL_SERVICE, "model", found.namespace)["spec"]["http"][0]
    assert route["headers"]["request"]["set"]["Host"].startswith("model-transformer.")


@about(Mode.KNATIVE, "canary")
def test_a_canary_gets_a_tenth_and_both_versions_have_an_address(knative: Cluster, overlay: str) -> None:
    """Applied over the version before it, as a user would."""
    folder = ROOT / "overlays/knative"
    before = deploy(knative, folder / "collocated")
    knative.apply(knative.command_line.render_kustomize(folder / overlay), before.namespace)
    service = knative.wait_for(
        KNATIVE_SERVICE, "model-predictor", before.namespace, lambda each: len(each["spec"]["traffic"]) > 1
    )
    split = [(each["tag"], each["percent"], each.get("revisionName")) for each in service["spec"]["traffic"]]
    assert split == [("latest", 10, None), ("prev", 90, "model-predictor-00001")]
    pod = Node(knative).admit_pod(service["spec"]["template"], before.namespace)
    assert containers(pod)["storage-initializer"]["args"][0] == "s3://my-bucket/my-model-v2/"
    assert knative_refusals([service]) == {"model-predictor": []}


@about(Mode.KNATIVE, "canary")
def test_a_canary_without_a_version_before_it_is_all_there_is(knative: Cluster, overlay: str) -> None:
    """Once it is ready KServe calls it rolled out, and gives it the rest too."""
    found = deployed(knative, overlay)
    service = knative.wait_for(
        KNATIVE_SERVICE, "model-predictor", found.namespace, lambda each: len(each["spec"]["traffic"]) > 1
    )
    assert service["status"]["latestReadyRevisionName"] == "model-predictor-00001"
    assert [each.get("revisionName", "the latest") for each in service["spec"]["traffic"]] == [
        "the latest",
        "model-predictor-00001",
    ]


@about(Mode.KNATIVE, "scale-to-zero")
def test_no_pod_is_kept(knative: Cluster, overlay: str) -> None:
    found = _scaling(deployed(knative, overlay))
    assert (found["min-scale"], found["scale-to-zero-pod-retention-period"]) == ("0", "5m")


@about(Mode.KNATIVE, "concurrency", "rps")
def test_pods_are_counted_by_what_the_overlay_is_called(knative: Cluster, overlay: str) -> None:
    deployment = deployed(knative, overlay)
    found = _scaling(deployment)
    assert (found["metric"], found["min-scale"], found["max-scale"]) == (overlay, "1", "10")
    assert found["target"] == {"concurrency": "8", "rps": "50"}[overlay]
    assert "containerConcurrency" not in deployment.templates["model-predictor"]["spec"]


@about(Mode.KNATIVE, "inference-graph")
def test_a_graph_asks_one_model_by_name_or_all(knative: Cluster, overlay: str) -> None:
    (router,) = deployed(knative, overlay).templates["vision"]["spec"]["containers"]
    nodes = json.loads(router["args"][1])["nodes"]
    asked = [each["serviceUrl"] for each in nodes["all"]["steps"]]
    assert [url[url.index("/v1") :] for url in asked] == [
        "/v1/models/classifier-model:predict",
        "/v1/models/detector-model:predict",
    ]
    assert [each.get("serviceUrl", each.get("nodeName")) for each in nodes["root"]["steps"]] == [*asked, "all"]


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"tolerations": [{"operator": "Exists"}]}, "kubernetes.podspec-tolerations"),
        ({"securityContext": {"fsGroup": 1}}, "kubernetes.podspec-securitycontext"),
        (
            {
                "topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
                ]
            },
            "kubernetes.podspec-topologyspreadconstraints",
        ),
        ({"terminationGracePeriodSeconds": 60}, ""),
    ],
    ids=["tolerations", "securityContext", "topologySpreadConstraints", "terminationGracePeriodSeconds"],
)
def test_knative_refuses_what_its_features_do_not_allow(knative: Cluster, fields: Manifest, feature: str) -> None:
    service = deployed(knative, "collocated").only(KNATIVE_SERVICE)
    service["spec"]["template"]["spec"] |= fields
    (said,) = knative_refusals([service])["model-predictor"]
    assert said.startswith(f"must not set the field(s): spec.template.spec.{next(iter(fields))}")
    if feature:
        assert knative_refusals([service], f"{feature}=enabled") == {"model-predictor": []}


def test_knative_refuses_to_tell_a_container_what_it_asks_for(knative: Cluster) -> None:
    service = deployed(knative, "collocated").only(KNATIVE_SERVICE)
    told = {"name": "TOLD", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}
    service["spec"]["template"]["spec"]["containers"][0]["env"].append(told)
    (said,) = knative_refusals([service])["model-predictor"]
    assert said.startswith("must not set the field(s): ")
    assert said.endswith(".valueFrom.resourceFieldRef")
    assert knative_refusals([service], "kubernetes.podspec-fieldref=enabled") == {"model-predictor": []}


def test_a_grace_period_is_dropped_without_a_word(knative: Cluster) -> None:
    """Of an InferenceService: what Knative would refuse does not come so far."""
    found = deploy(knative, ROOT / "overlays/knative/collocated")
    change = {"spec": {"predictor": {"terminationGracePeriodSeconds": 60, "timeout": 90}}}
    knative.patch(INFERENCE_SERVICE, "model", found.namespace, change)
    spec = knative.wait_for(
        KNATIVE_SERVICE, "model-predictor", found.namespace, lambda each: _pod_spec(each).get("timeoutSeconds") == 90
    )
    assert "terminationGracePeriodSeconds" not in _pod_spec(spec)


def test_knative_refuses_a_second_port(knative: Cluster) -> None:
    service = deployed(knative, "collocated").only(KNATIVE_SERVICE)
    service["spec"]["template"]["spec"]["containers"][1]["ports"].append({"containerPort": 8081})
    assert "more than one container port is set" in knative_refusals([service])["model-predictor"][0]


def test_knative_refuses_a_share_beyond_all(knative: Cluster) -> None:
    service = deployed(knative, "collocated").only(KNATIVE_SERVICE)
    service["spec"]["traffic"] = [{"latestRevision": True, "percent": 150}]
    said = knative_refusals([service])["model-predictor"]
    assert "expected 0 <= 150 <= 100: spec.traffic[0].percent" in said
