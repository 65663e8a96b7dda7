"""What KServe makes of the model's chart, in both modes, from values as users set them: pods and what is about them."""

from __future__ import annotations

import pytest

from rollout.kinds import Kind
from tests.cluster.charts_platform import Installed
from tests.cluster.charts_releases import BUDGET, EVERYTHING, FIRST, RESTRICTED, SPREAD, V2
from tests.cluster.kinds import HTTP_ROUTE, SERVICE
from tests.cluster.knative_check import knative_refusals
from tests.cluster.kserve import Mode
from tests.cluster.node import Node

TOPOLOGIES = pytest.mark.parametrize("topology", ["collocated", "separate"])
SAID = pytest.mark.parametrize("said", [True, False], ids=["the mode is said", "the cluster decides"])


@SAID
@TOPOLOGIES
def test_every_pod_is_admitted_where_the_restricted_level_is_enforced(
    installed: Installed, topology: str, *, said: bool
) -> None:
    release = installed.release(RESTRICTED | EVERYTHING | {"topology": topology}, mode=said)
    components = ["predictor", "transformer"] if topology == "separate" else ["predictor"]
    for component in components:
        pod = Node(installed.cluster).admit_pod(release.template(component), release.namespace)["spec"]
        (fetching,) = pod["initContainers"]
        assert fetching["args"] == [FIRST, "/mnt/models"]
        assert fetching["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert "/mnt/models" in {each["mountPath"] for each in container["volumeMounts"]}
            assert {"name": "INFERENCE_SERVICE_NAME", "value": "demo"} in container["env"]
        assert not pod["automountServiceAccountToken"]
        assert not pod["enableServiceLinks"]


@SAID
@TOPOLOGIES
def test_knative_takes_every_service(in_knative: Installed, topology: str, *, said: bool) -> None:
    release = in_knative.release(EVERYTHING | {"topology": topology}, mode=said)
    names = ["demo-predictor", *(["demo-transformer"] if topology == "separate" else [])]
    refused = knative_refusals([release.workload(name) for name in names])
    assert {name: said for name, said in refused.items() if said} == {}


@pytest.mark.parametrize(
    ("group", "field", "value"),
    [
        ("scheduling", "nodeSelector", {"disk": "fast"}),
        ("scheduling", "tolerations", [{"key": "gpu", "operator": "Exists"}]),
        ("scheduling", "affinity", {"podAntiAffinity": {}}),
        ("scheduling", "topologySpreadConstraints", [SPREAD]),
        ("scheduling", "priorityClassName", "high"),
        ("scheduling", "schedulerName", "own"),
        ("scheduling", "runtimeClassName", "nvidia"),
        ("security", "podSecurityContext", {"fsGroup": 65532}),
    ],
)
def test_a_field_that_the_chart_calls_refused_is_taken_by_a_knative_that_allows_it(
    in_knative: Installed, group: str, field: str, value: object
) -> None:
    feature = field.lower().removeprefix("pod")
    service = in_knative.release({"knativeFeatures": [feature], group: {field: value}}).workload("demo-predictor")
    refused = knative_refusals([service])
    assert field.removeprefix("pod").lower() in str(refused).lower()
    assert knative_refusals([service], f"kubernetes.podspec-{feature}=enabled") == {"demo-predictor": []}


def test_the_runtime_is_of_the_topology_and_the_accelerator(installed: Installed) -> None:
    expected = {
        ("collocated", "cpu"): ["kserve-vision-predictor:0.1.0", "kserve-vision-transformer:0.1.0"],
        ("collocated", "gpu"): ["kserve-vision-predictor:0.1.0-gpu", "kserve-vision-transformer:0.1.0"],
        ("separate", "cpu"): ["kserve-vision-predictor:0.1.0"],
        ("separate", "gpu"): ["kserve-vision-predictor:0.1.0-gpu"],
    }
    for (topology, accelerator), images in expected.items():
        release = installed.release({"topology": topology, "accelerator": accelerator})
        containers = release.template()["spec"]["containers"]
        assert [each["image"] for each in containers] == images
        limits = containers[0]["resources"]["limits"]
        assert limits.get("nvidia.com/gpu") == ("1" if accelerator == "gpu" else None)


def test_both_containers_are_tuned_over_their_runtime(installed: Installed) -> None:
    instances = {"name": "INSTANCES", "value": "2"}
    quiet = {"name": "LOG_LEVEL", "value": "WARNING"}
    values = {
        "predictor": {"env": [instances], "args": ["--num_threads=1"], "resources": {"limits": {"memory": "3Gi"}}},
        "transformer": {"env": [quiet], "args": ["--cache_mb=64"], "resources": {"requests": {"cpu": "2"}}},
    }
    predictor, transformer = installed.release(values).template()["spec"]["containers"]
    assert (predictor["name"], transformer["name"]) == ("kserve-container", "transformer-container")
    assert instances in predictor["env"]
    assert {"name": "HTTP_PORT", "value": "8090"} in predictor["env"]
    assert (predictor["args"], transformer["args"]) == (["--num_threads=1"], ["--cache_mb=64"])
    assert predictor["resources"]["limits"] == {"memory": "3Gi"}
    assert quiet in transformer["env"]
    assert transformer["resources"]["requests"] == {"cpu": "2", "memory": "512Mi"}
    assert transformer["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_a_separate_transformer_is_set_up_as_the_collocated_one(installed: Installed) -> None:
    _, collocated = installed.release({}).template()["spec"]["containers"]
    (separate,) = installed.release({"topology": "separate"}).template("transformer")["spec"]["containers"]
    settings = {each["name"]: each for each in collocated["env"] if each["name"] != "PREDICTOR_HOST"}
    assert "EXIT_WHEN_USELESS" in settings
    assert settings.items() <= {each["name"]: each for each in separate["env"]}.items()
    same = ("livenessProbe", "readinessProbe", "startupProbe", "securityContext", "terminationMessagePolicy")
    assert {each: separate[each] for each in same} == {each: collocated[each] for each in same}


def test_a_separate_transformers_limit_for_cpu_is_not_kserves_own(installed: Installed) -> None:
    """KServe gives a transformer without one a limit of 1, which a request of 2 would not fit."""
    values = {"topology": "separate", "transformer": {"resources": {"requests": {"cpu": "2"}}}}
    (transformer,) = installed.release(values).template("transformer")["spec"]["containers"]
    assert transformer["resources"] == {
        "requests": {"cpu": "2", "memory": "512Mi"},
        "limits": {"cpu": "4", "memory": "2Gi"},
    }


@TOPOLOGIES
def test_the_servers_are_told_the_cpus_that_the_values_ask_for(installed: Installed, topology: str) -> None:
    resources = {"resources": {"requests": {"cpu": "3"}}}
    release = installed.release({"topology": topology, "predictor": resources, "transformer": resources})
    components = ["predictor", "transformer"] if topology == "separate" else ["predictor"]
    containers = [each for component in components for each in release.template(component)["spec"]["containers"]]
    assert len(containers) == 2
    for container in containers:
        (told,) = [each for each in container["env"] if each["name"] == "CPU_REQUEST"]
        if installed.mode is Mode.STANDARD:
            assert told["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"
        else:
            assert told["value"] == "3"


def test_the_pods_with_the_gpu_alone_are_on_its_nodes(in_standard: Installed) -> None:
    taint = {"key": "nvidia.com/gpu", "operator": "Exists"}
    spot = {"key": "spot", "operator": "Exists"}
    values = {
        "topology": "separate",
        "accelerator": "gpu",
        "scheduling": {"tolerations": [taint], "nodeSelector": {"gpu": "h200"}, "priorityClassName": "high"},
        "transformer": {"scheduling": {"tolerations": [spot]}},
    }
    release = in_standard.release(values)
    predictor, transformer = (release.template(each)["spec"] for each in ("predictor", "transformer"))
    assert (predictor["tolerations"], predictor["nodeSelector"]) == ([taint], {"gpu": "h200"})
    assert (transformer["tolerations"], transformer.get("nodeSelector")) == ([spot], None)
    assert predictor["priorityClassName"] == transformer["priorityClassName"] == "high"


@TOPOLOGIES
def test_engines_are_kept_on_a_volume_claim(in_standard: Installed, topology: str) -> None:
    release = in_standard.release({"topology": topology, "cache": {"claimName": "engines"}} | RESTRICTED)
    pod = Node(in_standard.cluster).admit_pod(release.template(), release.namespace)["spec"]
    predictor = pod["containers"][0]
    (folder,) = [each["value"] for each in predictor["env"] if each["name"] == "CACHE_DIR"]
    (mount,) = [each for each in predictor["volumeMounts"] if each["mountPath"] == folder]
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    assert volume["persistentVolumeClaim"] == {"claimName": "engines"}


def test_a_candidates_engines_are_kept_there_too(in_standard: Installed) -> None:
    release = in_standard.release({"canary": {"candidates": [V2]}, "cache": {"claimName": "engines"}})
    pod = release.template(candidate="v2")["spec"]
    claims = [each["persistentVolumeClaim"] for each in pod["volumes"] if "persistentVolumeClaim" in each]
    assert claims == [{"claimName": "engines"}]
    assert {"name": "engines", "mountPath": "/var/cache/kserve-vision"} in pod["containers"][0]["volumeMounts"]


def test_standard_pods_have_time_to_drain_and_are_spread(in_standard: Installed) -> None:
    spec = in_standard.release({}).template()["spec"]
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["securityContext"]["fsGroup"] == 65532
    assert [each["topologyKey"] for each in spec["topologySpreadConstraints"]] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]


def test_a_separate_transformer_asks_the_predictors_pods_over_grpc(in_standard: Installed) -> None:
    release = in_standard.release({"topology": "separate"})
    (transformer,) = release.template("transformer")["spec"]["containers"]
    host = f"--predictor_host=demo-pods.{release.namespace}:8081"
    assert {host, "--predictor_protocol=grpc-v2", "--workers=1"} <= set(transformer["args"])
    assert [each["containerPort"] for each in transformer["ports"]] == [8080, 8081]
    pods = in_standard.cluster.wait_for(SERVICE, "demo-pods", release.namespace)["spec"]
    assert pods["clusterIP"] == "None"
    labels = release.template()["metadata"]["labels"]
    assert pods["selector"].items() <= labels.items()
    (predictor,) = release.template()["spec"]["containers"]
    assert 8081 in {each["containerPort"] for each in predictor["ports"]}


def test_a_separate_transformer_asks_the_predictors_route_in_knative_mode(in_knative: Installed) -> None:
    release = in_knative.release({"topology": "separate"})
    (transformer,) = release.template("transformer")["spec"]["containers"]
    assert {f"--predictor_host=demo-predictor.{release.namespace}", "--predictor_protocol=v2"} <= set(
        transformer["args"]
    )
    assert [each["containerPort"] for each in transformer["ports"]] == [8080]


@TOPOLOGIES
def test_a_disruption_budget_holds_for_the_pods_of_a_component(installed: Installed, topology: str) -> None:
    release = installed.release({"topology": topology})
    for budget in installed.cluster.objects(BUDGET, release.namespace):
        component = budget["metadata"]["name"].removeprefix("demo-")
        labels = release.template(component)["metadata"]["labels"]
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_secret_is_used_through_an_account_of_the_charts_own(installed: Installed) -> None:
    release = installed.release({"storage": {"secretName": "s3-credentials"}, "topology": "separate"})
    for component in ("predictor", "transformer"):
        assert release.template(component)["spec"]["serviceAccountName"] == "demo-store"
    account = installed.cluster.wait_for(Kind("v1", "serviceaccounts"), "demo-store", release.namespace)
    assert account["secrets"] == [{"name": "s3-credentials"}]


def test_a_storage_key_reaches_the_initializer(installed: Installed) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "storage-config"},
        "stringData": {"store": '{"type": "s3", "bucket": "models", "access_key_id": "a", "secret_access_key": "b"}'},
    }
    release = installed.release({"storage": {"uri": "", "key": "store", "path": "demo"}}, enforce="")
    installed.cluster.apply(secret, release.namespace)
    pod = Node(installed.cluster).admit_pod(release.template(), release.namespace)
    assert [each["args"][0] for each in pod["spec"]["initContainers"]] == ["s3://models/demo"]


@TOPOLOGIES
def test_a_model_on_a_volume_claim_is_mounted_where_the_restricted_level_is_enforced(
    installed: Installed, topology: str
) -> None:
    release = installed.release({"topology": topology, "storage": {"uri": "pvc://models/demo"}})
    for component in ["predictor", "transformer"] if topology == "separate" else ["predictor"]:
        pod = Node(installed.cluster).admit_pod(release.template(component), release.namespace)["spec"]
        assert "initContainers" not in pod
        for container in pod["containers"]:
            (mounted,) = [each for each in container["volumeMounts"] if each["mountPath"] == "/mnt/models"]
            assert mounted["readOnly"]


def test_a_service_monitor_finds_the_service_and_its_port(in_standard: Installed) -> None:
    release = in_standard.release({"monitoring": {"serviceMonitor": {"enabled": True}}})
    release.template()
    service = in_standard.cluster.wait_for(SERVICE, "demo-predictor", release.namespace)
    monitor = in_standard.cluster.wait_for(
        Kind("monitoring.coreos.com/v1", "servicemonitors"), "demo", release.namespace
    )
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert {each["name"]: each["targetPort"] for each in service["spec"]["ports"]}[endpoint["port"]] == 8080


def test_the_gateway_waits_as_long_as_the_chart_says(in_standard: Installed) -> None:
    release = in_standard.release({"timeoutSeconds": 7})
    Node(in_standard.cluster).make_ready("demo", release.namespace)
    route = in_standard.cluster.wait_for(HTTP_ROUTE, "demo", release.namespace)
    assert {each["timeouts"]["request"] for each in route["spec"]["rules"]} == {"7s"}


def test_knative_waits_as_long_as_the_chart_says(in_knative: Installed) -> None:
    assert in_knative.release({"timeoutSeconds": 7}).template()["spec"]["timeoutSeconds"] == 7
