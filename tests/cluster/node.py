"""The parts of a cluster that are not here, played by writing the status that they would write.

No kubelet runs pods, no controller makes them, no gateway accepts routes and no Knative makes revisions. What KServe
makes of their answers is real.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.kinds import DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, KNATIVE_SERVICE, POD, Kind
from tests.cluster.manifests import Manifest, condition

OWNER_LABEL: Final = "serving.kserve.io/inferenceservice"
READY: Final = ("Ready", "ConfigurationsReady", "RoutesReady")


class Node:
    """Answers for whoever would run and route what KServe creates."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def make_ready(self, name: str, namespace: str) -> Manifest:
        """Let all that belongs to an InferenceService come up, as it appears, until it is ready; return it."""

        def is_ready(service: Manifest) -> bool:
            if condition(service, "Ready") == "True":
                return True
            self._bring_up(name, namespace)
            return False

        return self._cluster.wait_for(INFERENCE_SERVICE, name, namespace, is_ready)

    def run_deployment(self, name: str, namespace: str) -> Manifest:
        """All replicas of a Deployment are available, at its latest generation."""
        deployment = self._cluster.wait_for(DEPLOYMENT, name, namespace)
        replicas = deployment["spec"].get("replicas", 1)
        counts = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **dict.fromkeys(counts, replicas),
            "conditions": _conditions("Available", "Progressing"),
        }
        return self._write(DEPLOYMENT, deployment, status)

    def roll_out(self, name: str, namespace: str) -> Manifest:
        """Knative's part: the latest spec is the latest ready revision, and has the traffic asked for."""
        service = self._cluster.wait_for(KNATIVE_SERVICE, name, namespace)
        generation = service["metadata"]["generation"]
        revision = f"{name}-{generation:05}"
        url = f"http://{name}.{namespace}.example.com"
        status = {
            "observedGeneration": generation,
            "latestCreatedRevisionName": revision,
            "latestReadyRevisionName": revision,
            "url": url,
            "address": {"url": f"http://{name}.{namespace}.svc.cluster.local"},
            "traffic": [_resolved(each, revision, url) for each in service["spec"].get("traffic", [{"percent": 100}])],
            "conditions": _conditions(*READY),
        }
        return self._write(KNATIVE_SERVICE, service, status)

    def accept_route(self, name: str, namespace: str) -> Manifest:
        """Each gateway that an HTTPRoute names has taken it."""
        route = self._cluster.wait_for(HTTP_ROUTE, name, namespace)
        generation = route["metadata"]["generation"]
        conditions = [each | {"observedGeneration": generation} for each in _conditions("Accepted", "ResolvedRefs")]
        parents = [
            {"parentRef": parent, "controllerName": "example.com/gateway", "conditions": conditions}
            for parent in route["spec"]["parentRefs"]
        ]
        return self._write(HTTP_ROUTE, route, {"parents": parents})

    def admit_pod(self, template: Manifest, namespace: str) -> Manifest:
        """Pass a workload's pod template through admission, as its ReplicaSet would; return the pod, which is not kept.

        Raises:
            Refused: KServe's webhook, Pod Security or another part of admission does not let it in.
        """
        metadata = {"generateName": "pod-", **template.get("metadata", {}), "namespace": namespace}
        metadata.pop("creationTimestamp", None)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        return self._cluster.create(POD, pod, namespace, dry_run=True)

    def _bring_up(self, name: str, namespace: str) -> None:
        labels = f"{OWNER_LABEL}={name}"
        for deployment in self._cluster.objects(DEPLOYMENT, namespace, labels):
            self.run_deployment(deployment["metadata"]["name"], namespace)
        for service in self._cluster.objects(KNATIVE_SERVICE, namespace):
            if _is_of(service, name):
                self.roll_out(service["metadata"]["name"], namespace)
        for route in self._cluster.objects(HTTP_ROUTE, namespace):
            if _is_of(route, name):
                self.accept_route(route["metadata"]["name"], namespace)

    def _write(self, kind: Kind, manifest: Manifest, status: dict[str, Any]) -> Manifest:
        metadata = manifest["metadata"]
        return self._cluster.patch(kind, metadata["name"], metadata["namespace"], {"status": status}, "status")


def _is_of(manifest: Manifest, name: str) -> bool:
    return any(owner["name"] == name for owner in manifest["metadata"].get("ownerReferences", ()))


def _conditions(*kinds: str) -> list[Manifest]:
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    same = {"status": "True", "reason": "Played", "message": "", "lastTransitionTime": now}
    return [{"type": kind, **same} for kind in kinds]


def _resolved(target: Manifest, latest: str, url: str) -> Manifest:
    """One entry of a Knative Service's traffic as its status shows it: with the revision's name, and a tag's URL."""
    tagged = {"url": url.replace("//", f"//{target['tag']}-")} if "tag" in target else {}
    return {"revisionName": latest, **target, **tagged}
