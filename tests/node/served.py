"""One InferenceService on the node: made of the manifests that users take, asked and watched as users do."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.kinds import DEPLOYMENT, INFERENCE_SERVICE, POD, SERVICE
from tests.cluster.manifests import Manifest
from tests.node.isolation import node_folder
from tests.servers import MODEL

ROOT: Final = Path(__file__).parents[2]
RUNTIMES: Final = ROOT / "manifests/runtimes/standard"
SERVICES: Final = ROOT / "manifests/base/standard"
SMALL: Final = {"cpu": "100m", "memory": "128Mi"}
"""What a container asks for here: several pods share a machine with two cores."""


def install_runtimes(cluster: Cluster) -> None:
    """Apply the runtimes as they are, but for what their containers ask for."""
    runtimes = cluster.command_line.render_kustomize(RUNTIMES)
    for container in (each for runtime in runtimes for each in runtime["spec"].get("containers", ())):
        container["resources"]["requests"] |= SMALL
    cluster.apply(runtimes)


@dataclass(frozen=True)
class Served:
    """An InferenceService that was applied."""

    cluster: Cluster
    namespace: str
    name: str = MODEL
    entrance: str = "predictor"
    """Or `transformer`, where that has pods of its own."""

    @property
    def url(self) -> str:
        """Where the Service's cluster IP answers HTTP."""
        return f"http://{self._address}:80"

    @property
    def grpc(self) -> str:
        return f"{self._address}:8081"

    @property
    def _address(self) -> str:
        service = self.cluster.wait_for(SERVICE, self.workload, self.namespace)
        return str(service["spec"]["clusterIP"])

    @property
    def workload(self) -> str:
        """The name of the Deployment and the Service that KServe makes for it."""
        return f"{self.name}-{self.entrance}"

    def wait_available(self, replicas: int = 1) -> None:
        """Wait until the latest template has that many pods that are ready, and no other pod counts."""

        def rolled_out(deployment: Manifest) -> bool:
            status = deployment.get("status", {})
            counts = {status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")}
            return status.get("observedGeneration") == deployment["metadata"]["generation"] and counts == {replicas}

        self.cluster.wait_for(DEPLOYMENT, self.workload, self.namespace, rolled_out)

    def wait_for_pod(self, fits: Callable[[Manifest], Any]) -> Manifest:
        """Wait until one of the pods is so, and return it."""
        found: list[Manifest] = []

        def there() -> bool:
            found[:] = [each for each in self.pods() if fits(each)]
            return bool(found)

        self.cluster.until(there, "no pod became what was awaited")
        return found[0]

    def wait_until_gone(self, pod: Manifest) -> None:
        """Wait until a pod has ended and its object is gone."""
        name = pod["metadata"]["name"]
        self.cluster.until(lambda: self.cluster.get(POD, name, self.namespace) is None, f"{name} is still there")

    def pods(self) -> list[Manifest]:
        """The pods that are not being deleted, the oldest first."""
        labels = f"serving.kserve.io/inferenceservice={self.name}"
        pods = self.cluster.objects(POD, self.namespace, labels)
        alive = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
        return sorted(alive, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def change(self, **predictor: Any) -> None:
        """Merge fields into the predictor."""
        self.cluster.patch(INFERENCE_SERVICE, self.name, self.namespace, {"spec": {"predictor": predictor}})

    def status(self) -> Manifest:
        """The status of the InferenceService."""
        service = self.cluster.get(INFERENCE_SERVICE, self.name, self.namespace)
        return dict((service or {}).get("status", {}))

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.command_line.kubectl("--namespace", self.namespace, *arguments)


def serve(cluster: Cluster, directory: Path, *, enforce: str = "restricted", **predictor: Any) -> Served:
    """Apply the InferenceService for a model directory, in a namespace of its own; it is not ready yet.

    `predictor` has fields of the predictor, and `model` among them those of its model.
    """
    namespace = cluster.namespace(enforce=enforce)
    provide_models(cluster, namespace, directory)
    rendered = cluster.command_line.render_kustomize(SERVICES)
    (service,) = [each for each in rendered if each["kind"] == "InferenceService"]
    service["metadata"]["name"] = MODEL
    service["spec"]["predictor"]["model"]["storageUri"] = "pvc://models/demo"
    _merge(service["spec"]["predictor"], copy.deepcopy(predictor))
    cluster.apply(rendered, namespace)
    return Served(cluster, namespace)


def provide_models(cluster: Cluster, namespace: str, directory: Path) -> Path:
    """A claim called `models` on a folder of the node, which holds the model directory as `demo`; return the folder."""
    folder = node_folder() / "models" / namespace
    shutil.copytree(directory, folder / "demo")
    for each in (folder, *folder.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    size, modes = {"storage": "1Gi"}, ["ReadOnlyMany"]
    claim = {"name": "models", "namespace": namespace}
    volume = {
        "accessModes": modes,
        "capacity": size,
        "claimRef": claim,
        "hostPath": {"path": str(folder), "type": "Directory"},
        "storageClassName": "",
    }
    asked = {"accessModes": modes, "resources": {"requests": size}, "storageClassName": "", "volumeName": namespace}
    persistent = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": volume}
    cluster.apply([persistent, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claim, "spec": asked}])
    return folder


def container_status(pod: Manifest, container: str) -> Manifest:
    """The status of a container of a pod, or of one of its init containers."""
    status = pod["status"]
    every = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    return next((dict(each) for each in every if each["name"] == container), {})


def last_state(pod: Manifest, container: str) -> Manifest:
    """How a container ended last: for good, or before it was started again. Empty while it never has."""
    status = container_status(pod, container)
    for state in (status.get("state", {}), status.get("lastState", {})):
        if "terminated" in state:
            return dict(state["terminated"])
    return {}


def server_pid(pod: Manifest, container: str) -> int:
    """The process number of a container's first process, seen from here; its control group is named by its id."""
    identity = container_status(pod, container)["containerID"].removeprefix("containerd://")
    found = [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/cgroup") if identity in _read(each)]
    return min(found)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has just ended
        return ""


def _merge(into: Manifest, change: Manifest) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
