"""What holds for each overlay of manifests/, in its mode: it is taken, and what KServe makes of it is safe to run."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from rollout.kinds import is_true
from tests.cluster.cluster import Cluster
from tests.cluster.kinds import INFERENCE_SERVICE, KNATIVE_SERVICE
from tests.cluster.knative_check import knative_refusals
from tests.cluster.kserve import Mode
from tests.cluster.manifests import Manifest
from tests.cluster.overlays import COVERED, ROOT, Deployed, combined, containers, deploy, deployed, overlays

EACH = [(mode.value.lower(), overlay) for mode in Mode for overlay in overlays(mode)]
NOTHING_IS_FETCHED = ("storage/pvc", "storage/oci")

each_overlay = pytest.mark.parametrize(("mode", "overlay"), EACH, ids=["-".join(each) for each in EACH])


def _cluster(request: pytest.FixtureRequest, mode: str) -> Cluster:
    found: Cluster = request.getfixturevalue(mode)
    return found


def _of_models(found: Deployed) -> dict[str, Manifest]:
    """The templates of InferenceServices' pods, without an InferenceGraph's."""
    label = "serving.kserve.io/inferenceservice"
    return {name: each for name, each in found.templates.items() if label in each["metadata"]["labels"]}


def _selects(selector: dict[str, str], template: Manifest) -> bool:
    labels: dict[str, str] = template["metadata"]["labels"]
    return selector.items() <= labels.items()


@pytest.mark.parametrize("mode", Mode)
def test_every_overlay_has_a_test_of_its_own(mode: Mode) -> None:
    for module in ("standard", "knative", "storage"):
        importlib.import_module(f"tests.cluster.test_manifests_{module}")
    assert COVERED[mode] == set(overlays(mode))


@each_overlay
def test_it_is_taken_and_becomes_ready(request: pytest.FixtureRequest, mode: str, overlay: str) -> None:
    found = deployed(_cluster(request, mode), overlay)
    services = found.cluster.objects(INFERENCE_SERVICE, found.namespace)
    assert all(is_true(each, "Ready") for each in services)
    assert {each["status"]["deploymentMode"].lower() for each in services} == {mode}


@each_overlay
def test_the_model_container_is_first_and_has_what_kserve_gives_it(
    request: pytest.FixtureRequest, mode: str, overlay: str
) -> None:
    for name, template in _of_models(deployed(_cluster(request, mode), overlay)).items():
        service = template["metadata"]["labels"]["serving.kserve.io/inferenceservice"]
        first, *others = template["spec"]["containers"]
        assert first["name"] == "kserve-container", name
        assert [each["name"] for each in others] in ([], ["transformer-container"])
        for each in (first, *others):
            assert {"name": "INFERENCE_SERVICE_NAME", "value": service} in each["env"]


@each_overlay
def test_pods_have_no_token_and_no_variables_of_other_services(
    request: pytest.FixtureRequest, mode: str, overlay: str
) -> None:
    found = deployed(_cluster(request, mode), overlay)
    for template in _of_models(found).values():
        assert template["spec"]["automountServiceAccountToken"] is False
        assert template["spec"]["enableServiceLinks"] is False
    assert all(each["automountServiceAccountToken"] is False for each in found.rendered_kind("ServiceAccount"))


@each_overlay
def test_each_pod_has_three_probes_on_the_port_that_takes_requests(
    request: pytest.FixtureRequest, mode: str, overlay: str
) -> None:
    for template in _of_models(deployed(_cluster(request, mode), overlay)).values():
        (front,) = [each for each in template["spec"]["containers"] if "ports" in each]
        asked = [front[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
        assert [each["path"] for each in asked] == ["/v2/health/live", "/v2/health/live", "/v2/health/ready"]
        # Knative fills in the port itself, and KServe leaves ours.
        assert {each["port"] for each in asked} == {8080}
        assert front["ports"][0]["containerPort"] == 8080


@each_overlay
def test_no_server_counts_the_cpus_of_its_node(request: pytest.FixtureRequest, mode: str, overlay: str) -> None:
    """A container has a limit that is not KServe's own, or is told what it asks for: by Kubernetes, or in plain."""
    for template in _of_models(deployed(_cluster(request, mode), overlay)).values():
        for each in template["spec"]["containers"]:
            told = {variable["name"]: variable for variable in each["env"]}.get("CPU_REQUEST")
            resources = each["resources"]
            if told is None:
                assert int(resources["limits"]["cpu"]) > int(resources["requests"]["cpu"])
            elif mode == "standard":
                assert told["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"
            else:
                assert told["value"] == resources["requests"]["cpu"]
            assert (told is None) == ("cpu" in resources["limits"])


@each_overlay
def test_every_pod_is_in_one_budget_and_behind_a_policy_for_both_directions(
    request: pytest.FixtureRequest, mode: str, overlay: str
) -> None:
    found = deployed(_cluster(request, mode), overlay)
    budgets = [each["spec"]["selector"]["matchLabels"] for each in found.rendered_kind("PodDisruptionBudget")]
    policies = [each["spec"] for each in found.rendered_kind("NetworkPolicy")]
    both = [each["podSelector"]["matchLabels"] for each in policies if each["policyTypes"] == ["Ingress", "Egress"]]
    for name, template in _of_models(found).items():
        assert sum(_selects(each, template) for each in budgets) == 1, name
        assert sum(_selects(each, template) for each in both) == 1, name
    for selector in (*budgets, *(each["podSelector"]["matchLabels"] for each in policies)):
        assert any(_selects(selector, template) for template in found.templates.values()), selector


@each_overlay
def test_the_gateway_reaches_every_port_that_is_served(request: pytest.FixtureRequest, mode: str, overlay: str) -> None:
    """In Knative mode requests come to the queue proxy, which Knative adds to the pod."""
    found = deployed(_cluster(request, mode), overlay)
    policies = [each["spec"] for each in found.rendered_kind("NetworkPolicy")]
    for template in _of_models(found).values():
        declared = {port["containerPort"] for each in template["spec"]["containers"] for port in each.get("ports", ())}
        open_ports = {
            port["port"]
            for policy in policies
            if _selects(policy["podSelector"]["matchLabels"], template)
            for rule in policy["ingress"]
            if "namespaceSelector" in rule["from"][0]
            for port in rule["ports"]
        }
        assert (declared if mode == "standard" else {8012, 9090}) <= open_ports


@each_overlay
def test_its_pods_pass_the_restricted_level(
    request: pytest.FixtureRequest, mode: str, overlay: str, tmp_path: Path
) -> None:
    """With the storage container of ours; an InferenceGraph's router is KServe's own, and is tested by itself."""
    cluster = _cluster(request, mode)
    folder = ROOT / "overlays" / mode / overlay
    if overlay not in NOTHING_IS_FETCHED:
        folder = combined(tmp_path, [folder], ["components/restricted-storage"])
    found = deploy(cluster, folder)
    namespace = found.restricted_namespace()
    for name in _of_models(found):
        pod = found.pod(name, namespace)
        assert ("storage-initializer" in containers(pod)) == (overlay not in NOTHING_IS_FETCHED)
        assert {mount["mountPath"] for each in pod["spec"]["containers"] for mount in each["volumeMounts"]} >= {
            "/mnt/models",
            "/tmp",  # a path in the container
        }
        assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in pod["spec"]["containers"])


@pytest.mark.parametrize("overlay", overlays(Mode.KNATIVE))
def test_knative_takes_what_kserve_makes_of_it(knative: Cluster, overlay: str) -> None:
    found = deployed(knative, overlay)
    services = knative.objects(KNATIVE_SERVICE, found.namespace)
    assert knative_refusals(services) == {each["metadata"]["name"]: [] for each in services}
