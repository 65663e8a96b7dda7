"""A picture, in Mermaid, of what KServe made of an overlay: read from the cluster, not from the overlay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.cluster.kinds import (
    AUTOSCALER,
    DEPLOYMENT,
    HTTP_ROUTE,
    KNATIVE_SERVICE,
    SCALED_OBJECT,
    SERVICE,
    VIRTUAL_SERVICE,
)
from tests.cluster.kserve import Mode
from tests.cluster.manifests import Manifest
from tests.cluster.overlays import Deployed, containers, environment, mode_of

MODEL = "/mnt/models"
SCALING = "autoscaling.knative.dev/"


def picture(found: Deployed) -> str:
    """Draw routes, Services, pods with their containers, where the model comes from, and what scales."""
    found.make_secrets()
    standard = mode_of(found.cluster) is Mode.STANDARD
    lines = [*(_standard(found) if standard else _knative(found)), *_pods(found)]
    return "\n".join(["flowchart LR", *(f"  {line}" for line in lines)])


def _standard(found: Deployed) -> Iterator[str]:
    for route in found.cluster.objects(HTTP_ROUTE, found.namespace):
        name = route["metadata"]["name"]
        if f"{name}-predictor" not in found.templates:
            continue  # a component's own address
        yield f'client(["client"]) --> {_id("route", name)}["HTTPRoute {name}"]'
        for backend, protocols in _backends(route).items():
            yield f'{_id("route", name)} -- "{", ".join(protocols)}" --> {_id("service", backend)}'
    for service in found.cluster.objects(SERVICE, found.namespace):
        name, spec = service["metadata"]["name"], service["spec"]
        for workload, template in found.templates.items():
            if spec["selector"].items() <= template["metadata"]["labels"].items():
                ports = ", ".join(f"{each['port']} to {each['targetPort']}" for each in spec["ports"])
                yield f'{_id("service", name)}["Service {name}"] -- "{ports}" --> {_id("pod", workload)}'
    for scaler in found.cluster.objects(AUTOSCALER, found.namespace):
        spec = scaler["spec"]
        label = f"HorizontalPodAutoscaler<br/>{spec['minReplicas']} to {spec['maxReplicas']} pods"
        yield _scales(label, spec["scaleTargetRef"]["name"])
    for scaler in found.cluster.objects(SCALED_OBJECT, found.namespace):
        spec = scaler["spec"]
        label = f"ScaledObject<br/>{spec['minReplicaCount']} to {spec['maxReplicaCount']} pods"
        yield _scales(label, spec["scaleTargetRef"]["name"])


def _knative(found: Deployed) -> Iterator[str]:
    for route in found.cluster.objects(VIRTUAL_SERVICE, found.namespace):
        name = route["metadata"]["name"]
        target = route["spec"]["http"][0]["headers"]["request"]["set"]["Host"].split(".")[0]
        yield f'client(["client"]) --> {_id("route", name)}["VirtualService {name}"] --> {_id("pod", target)}'


def _pods(found: Deployed) -> Iterator[str]:
    for name, template in found.templates.items():
        if "serving.kserve.io/inferencegraph" in template["metadata"]["labels"]:
            yield from _router(found, name, template)
        else:
            yield from _pod(found, name)


def _pod(found: Deployed, workload: str) -> Iterator[str]:
    pod = found.pod(workload)
    yield f'subgraph {_id("pod", workload)}["{_workload(found, workload)}"]'
    for each in pod["spec"]["containers"]:
        gpu = "<br/>1 GPU" if "nvidia.com/gpu" in each["resources"].get("limits", {}) else ""
        yield f'  {_id(workload, each["name"])}["{each["name"]}<br/>{each["image"]}{gpu}"]'
    if len(pod["spec"]["containers"]) > 1:
        front, behind = _id(workload, "transformer-container"), _id(workload, "kserve-container")
        yield f'  {front} -- "Unix socket" --> {behind}'
    yield "end"
    yield f'{_id("model", workload)}[("{_model(pod)}")] -.-> {_id("pod", workload)}'
    for each in pod["spec"]["containers"]:
        if host := _predictor_host(each):
            kind = "service" if host in _services(found) else "pod"
            yield f"{_id(workload, each['name'])} --> {_id(kind, host)}"


def _router(found: Deployed, workload: str, template: Manifest) -> Iterator[str]:
    nodes = json.loads(template["spec"]["containers"][0]["args"][1])["nodes"]
    kind = "service" if mode_of(found.cluster) is Mode.STANDARD else "route"
    yield f'{_id("pod", workload)}["InferenceGraph {workload}"]'
    for step in nodes["all"]["steps"]:
        host = re.sub(r"^http://([^.]+)\..*", r"\1", step["serviceUrl"])
        yield f'{_id("pod", workload)} -- "{step["name"]}" --> {_id(kind, host)}'


def _workload(found: Deployed, name: str) -> str:
    if mode_of(found.cluster) is Mode.STANDARD:
        deployment = found.cluster.wait_for(DEPLOYMENT, name, found.namespace)
        fixed = deployment["metadata"]["annotations"].get("serving.kserve.io/autoscalerClass") == "none"
        return f"Deployment {name}" + (f", pods: {deployment['spec']['replicas']}" if fixed else "")
    service = found.cluster.wait_for(KNATIVE_SERVICE, name, found.namespace)
    asked = service["spec"]["template"]["metadata"]["annotations"]
    pods = f"pods: {asked[SCALING + 'min-scale']} to {asked[SCALING + 'max-scale']}"
    metric = f" by {asked[SCALING + 'metric']} {asked[SCALING + 'target']}" if SCALING + "metric" in asked else ""
    return f"Knative Service {name}, {pods}{metric}"


def _model(pod: Manifest) -> str:
    """Where the model comes from, and how it gets into the pod."""
    fetched = containers(pod).get("storage-initializer")
    if fetched is not None:
        return f"{fetched['args'][0]}<br/>fetched"
    first = pod["spec"]["containers"][0]
    (mount,) = [each for each in first["volumeMounts"] if each["mountPath"] == MODEL]
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == mount["name"]]
    if "image" in volume:
        return f"image {volume['image']['reference']}<br/>mounted"
    return f"claim {volume['persistentVolumeClaim']['claimName']}<br/>mounted"


def _predictor_host(container: Manifest) -> str:
    """The Service or Knative Service that a separate transformer asks."""
    arguments = "=".join(container.get("args", ()))
    named = re.search(r"--predictor_host=([^=]+)", arguments)
    if named is None:
        return ""
    name = environment(container)["INFERENCE_SERVICE_NAME"]
    return re.split(r"[.:]", named[1].replace("$(INFERENCE_SERVICE_NAME)", name))[0]


def _services(found: Deployed) -> set[str]:
    return {each["metadata"]["name"] for each in found.cluster.objects(SERVICE, found.namespace)}


def _backends(route: Manifest) -> dict[str, list[str]]:
    """The protocols of each Service that a route leads to."""
    found: dict[str, list[str]] = {}
    for rule in route["spec"]["rules"]:
        grpc = any("application/grpc" in str(match.get("headers", "")) for match in rule["matches"])
        for backend in rule["backendRefs"]:
            found.setdefault(backend["name"], []).append("gRPC" if grpc else "REST")
    return found


def _scales(label: str, workload: str) -> str:
    return f'{_id("scaler", workload)}["{label}"] -.-> {_id("pod", workload)}'


def _id(kind: str, name: str) -> str:
    return f"{kind}_{name}".replace("-", "_")
