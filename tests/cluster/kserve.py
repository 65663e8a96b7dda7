"""KServe on a control plane: its CRDs, its configuration, its webhooks and its controller, outside of the cluster.

The controller acts as the service account that an installation gives it, with an installation's RBAC and nothing more.
"""

from __future__ import annotations

import base64
import enum
import json
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from rollout.kinds import is_true
from tests.cluster.cluster import Cluster
from tests.cluster.daemons import HOST, Daemon, free_ports
from tests.cluster.kinds import RESOURCE_DEFINITION
from tests.cluster.manifests import Manifest, manifests
from tests.cluster.refusal import Refuser
from tools.cache import located

SYSTEM: Final = "kserve"
CONTROLLER: Final = "kserve-controller-manager"
KNATIVE_SYSTEM: Final = "knative-serving"
CRDS: Final = (
    "config/crd/full",
    "config/crd/full/clusterstoragecontainer",
    "config/crd/full/localmodel",
    "test/crds/gatewayapi_gateway.yaml",
    "test/crds/gatewayapi_gatewayclasses.yaml",
    "test/crds/gatewayapi_httproute.yaml",
    "test/crds/istio_virtualservice.yaml",
    "test/crds/keda.yaml",
    "test/crds/opentelemetry-operator.yaml",
)
MONITORING: Final = ("podmonitors", "prometheusrules", "servicemonitors")


class Mode(enum.StrEnum):
    """How an installation of KServe deploys what does not say otherwise."""

    STANDARD = "Standard"
    """Deployments and Services, behind Gateway API routes."""
    KNATIVE = "Knative"
    """Knative Services, behind Istio."""


def install_kserve(cluster: Cluster, mode: Mode) -> None:
    """Install KServe, and start its controller: it is ready, and its webhooks answer."""
    files = located("kserve-files")
    knative = located("knative-crds") / "config/core/300-resources/service.yaml"
    install_crds(cluster, *(files / each for each in CRDS), knative, *_monitoring())
    for namespace in (SYSTEM, KNATIVE_SYSTEM):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    cluster.apply(_configuration(files, mode), SYSTEM)
    autoscaler = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config-autoscaler"}}
    cluster.apply(autoscaler, KNATIVE_SYSTEM)
    _grant(cluster, files)
    webhook_port = _start_controller(cluster)
    _register_webhooks(cluster, files, webhook_port)
    storage = _documents(files / "config/storagecontainers/default.yaml")
    storage[0]["spec"]["container"]["image"] = "kserve/storage-initializer:latest"
    cluster.apply(storage)


def install_crds(cluster: Cluster, *sources: Path) -> None:
    """Apply the CRDs in files and folders, and wait until the API server serves them."""
    found = [each for source in sources for each in manifests(source) if each["kind"] == "CustomResourceDefinition"]
    cluster.apply(found)
    for each in found:
        name = each["metadata"]["name"]
        cluster.wait_for(RESOURCE_DEFINITION, name, "", lambda crd: is_true(crd, "Established"))


def _monitoring() -> list[Path]:
    folder = located("prometheus-crds") / "example/prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{each}.yaml" for each in MONITORING]


def _configuration(files: Path, mode: Mode) -> Manifest:
    """`inferenceservice-config` as KServe ships it, but for the mode and its gateway."""
    (config,) = _documents(files / "config/configmap/inferenceservice.yaml")
    config["metadata"].pop("namespace", None)
    data = config["data"]
    data["deploy"] = json.dumps({"defaultDeploymentMode": mode.value})
    data["ingress"] = json.dumps(json.loads(data["ingress"]) | {"enableGatewayApi": mode is Mode.STANDARD})
    return config


def _grant(cluster: Cluster, files: Path) -> None:
    rbac = files / "config/rbac"
    for name in ("service_account", "role", "role_binding", "leader_election_role", "leader_election_role_binding"):
        for each in _documents(rbac / f"{name}.yaml"):
            for subject in each.get("subjects", ()):
                subject["namespace"] = SYSTEM
            each["metadata"].pop("namespace", None)
            cluster.apply(each, SYSTEM)


def _start_controller(cluster: Cluster) -> int:
    """Start it, wait until it is ready, and return the port of its webhooks."""
    plane = cluster.plane
    webhook_port, probe_port = free_ports(2)
    folder = plane.folder / "kserve"
    certificates = folder / "k8s-webhook-server/serving-certs"  # below the temporary folder, where it looks by default
    certificates.mkdir(parents=True)
    pair = plane.authority.serving_pair(certificates, "tls")
    assert pair.certificate.exists()
    user = f"system:serviceaccount:{SYSTEM}:{CONTROLLER}"
    kubeconfig = plane.write_kubeconfig(folder / "kubeconfig", user)
    command = [
        located("kserve-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--metrics-addr={HOST}:0",
        f"--health-probe-addr={HOST}:{probe_port}",
        f"--webhook-port={webhook_port}",
    ]
    controller = Daemon(command, plane.folder / "kserve-manager.log", {"POD_NAMESPACE": SYSTEM, "TMPDIR": str(folder)})
    plane.daemons.append(controller)
    controller.wait_until(lambda: httpx.get(f"http://{HOST}:{probe_port}/readyz", trust_env=False).is_success)
    return webhook_port


def _register_webhooks(cluster: Cluster, files: Path, port: int) -> None:
    bundle = base64.b64encode(cluster.plane.authority.bundle.read_bytes()).decode()
    for configuration in _documents(files / "config/webhook/manifests.yaml"):
        configuration["metadata"].pop("creationTimestamp", None)
        for each in configuration["webhooks"]:
            path = each["clientConfig"]["service"]["path"]
            each["clientConfig"] = {"url": f"https://{HOST}:{port}{path}", "caBundle": bundle}
        cluster.apply(configuration)
    cluster.until(lambda: _webhooks_are_asked(cluster), "the API server does not ask KServe's webhooks")


def _webhooks_are_asked(cluster: Cluster) -> bool:
    """Say whether the API server has noticed the configuration: only KServe refuses an empty predictor."""
    meaningless = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "meaningless"},
        "spec": {"predictor": {}},
    }
    refused = cluster.refusal(meaningless)
    return refused is not None and refused.by is Refuser.KSERVE


def _documents(file: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(file.read_text()) if each]
