"""The parts of a cluster that are not here, played by writing the status that they would write.

No kubelet runs pods, no controller makes them, no gateway accepts routes and no Knative makes revisions. What KServe
makes of their answers is real.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any, Final

from rollout.kinds import Kind, is_true
from tests.cluster.cluster import Cluster
from tests.cluster.kinds import DEPLOYMENT, HTTP_ROUTE, INFERENCE_SERVICE, KNATIVE_SERVICE, POD
from tests.cluster.manifests import Manifest

OWNER_LABEL: Final = "serving.kserve.io/inferenceservice"
TEMPLATE: Final = "example.com/template"
"""Where a Knative Service's status keeps which template its newest revision is of."""
READY: Final = ("Ready", "ConfigurationsReady", "RoutesReady")


class Node:
    """Answers for whoever would run and route what KServe creates."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def make_ready(self, name: str, namespace: str) -> Manifest:
        """Let all that belongs to an InferenceService come up, as it appears, until it is ready; return it."""

        def is_ready(service: Manifest) -> bool:
            if is_true(service, "Ready"):
                return True
            self.bring_up(name, namespace)
            return False

        return self._cluster.wait_for(INFERENCE_SERVICE, name, namespace, is_ready)

    def run_deployment(self, name: str, namespace: str) -> Manifest:
        """All replicas of a Deployment are available, at its latest generation."""
        return self._run(self._cluster.wait_for(DEPLOYMENT, name, namespace))

    def _run(self, deployment: Manifest) -> Manifest:
        replicas = deployment["spec"].get("replicas", 1)
        counts = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **dict.fromkeys(counts, replicas),
            "conditions": _conditions("Available", "Progressing"),
        }
        return self._write(DEPLOYMENT, deployment, status)

    def roll_out(self, name: str, namespace: str, *, ready: bool = True) -> Manifest:
        """Knative's part: another template is another revision; once it is ready, it has the traffic asked for. Where
        it is not `ready`, the latest revision that is keeps what is asked for the latest.
        """
        service = self._cluster.wait_for(KNATIVE_SERVICE, name, namespace)
        before = service.get("status", {})
        template = _digest(service["spec"]["template"])
        created = before.get("latestCreatedRevisionName", f"{name}-00000")
        if before.get("annotations", {}).get(TEMPLATE) != template:
            created = f"{name}-{int(created[-5:]) + 1:05}"
        serving = created if ready else before.get("latestReadyRevisionName", "")
        url = f"http://{name}.{namespace}.example.com"
        targets = service["spec"].get("traffic", [{"percent": 100}]) if serving else []
        status = {
            "observedGeneration": service["metadata"]["generation"],
            "annotations": {TEMPLATE: template},
            "latestCreatedRevisionName": created,
            "latestReadyRevisionName": serving or None,
            "url": url,
            "address": {"url": f"http://{name}.{namespace}.svc.cluster.local"},
            "traffic": [_resolved(each, serving, url) for each in targets],
            "conditions": _conditions(*READY) if ready else _not_ready(created),
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

    def bring_up(self, name: str, namespace: str) -> None:
        """Whatever of an InferenceService is there comes up, as its latest spec wants it."""
        labels = f"{OWNER_LABEL}={name}"
        for deployment in self._cluster.objects(DEPLOYMENT, namespace, labels):
            self._run(deployment)
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


def _not_ready(revision: str) -> list[Manifest]:
    """The conditions of a Knative Service whose newest revision does not come up, while another serves."""
    failed = {
        "status": "False",
        "reason": "RevisionFailed",
        "message": f"Revision {revision!r} failed with message: played",
    }
    return [each | (failed if each["type"] != "RoutesReady" else {}) for each in _conditions(*READY)]


def _digest(template: Manifest) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]


def _resolved(target: Manifest, latest: str, url: str) -> Manifest:
    """One entry of a Knative Service's traffic as its status shows it: with the revision's name, and a tag's URL."""
    tagged = {"url": url.replace("//", f"//{target['tag']}-")} if "tag" in target else {}
    return {"revisionName": latest, **target, **tagged}
