"""Pods as the controller manager, the scheduler and a kubelet would make them and write their statuses."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.kinds import DEPLOYMENT, EVENT, HTTP_ROUTE, KNATIVE_SERVICE, POD
from tests.cluster.manifests import Manifest

IMAGE: Final = "kserve-vision-predictor:0.1.0"
FETCHES: Final = "storage-initializer"
PREDICTOR: Final = "kserve-container"
TRANSFORMER: Final = "transformer-container"
RUNS: Final = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
INITIALIZING: Final = {"waiting": {"reason": "PodInitializing"}}
FETCHED: Final = {"terminated": {"exitCode": 0, "reason": "Completed"}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """A container's state while it waits."""
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    """A container's state once it has ended."""
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


class PlayedPod:
    """A pod of an InferenceService's predictor; no node runs it."""

    def __init__(self, cluster: Cluster, namespace: str, service: str = "demo") -> None:
        """Create it from the workload's template, through KServe's webhook, on a node."""
        self._cluster = cluster
        self.namespace = namespace
        workload = f"{service}-predictor"
        kind = DEPLOYMENT if cluster.get(DEPLOYMENT, workload, namespace) else KNATIVE_SERVICE
        template = cluster.wait_for(kind, workload, namespace)["spec"]["template"]
        labels = {**template["metadata"].get("labels", {}), "serving.kserve.io/inferenceservice": service}
        self.name = f"{workload}-5d4f8c-x7k2p"
        metadata = {
            "name": self.name,
            "labels": labels,
            "annotations": template["metadata"].get("annotations", {}),
        }
        spec = {**template["spec"], "nodeName": "node-1"}
        # Of a Knative template, what is Knative's own.
        for each in ("containerConcurrency", "timeoutSeconds"):
            spec.pop(each, None)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.manifest = cluster.create(POD, pod, namespace)

    def unscheduled(self, message: str) -> None:
        """No node takes it."""
        refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self._write({"phase": "Pending", "conditions": [refused]})

    def write(  # noqa: PLR0913  # each part of a pod has its state
        self,
        fetching: dict[str, Any] = FETCHED,
        predictor: dict[str, Any] = RUNS,
        transformer: dict[str, Any] = RUNS,
        *,
        ready: bool = False,
        last: dict[str, Any] | None = None,
        started: bool = True,
    ) -> None:
        """Write the state of its containers; `last` is how the predictor ended before."""
        initialized = "terminated" in fetching and fetching["terminated"]["exitCode"] == 0
        done = {"lastState": last, "restartCount": 3} if last else {}
        self._write(
            {
                "phase": "Running" if "running" in predictor else "Pending",
                "conditions": [
                    _condition("PodScheduled", holds=True),
                    _condition("Initialized", holds=initialized),
                    _condition("Ready", holds=ready),
                ],
                "initContainerStatuses": [_state(FETCHES, fetching)],
                "containerStatuses": [
                    _state(PREDICTOR, predictor, ready=ready, started=started, **done),
                    _state(TRANSFORMER, transformer, ready=ready, started=started),
                ],
            }
        )

    def event(self, reason: str, message: str, kind: str = "Normal") -> None:
        """Its node reports something."""
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "played-", "namespace": self.namespace},
            "involvedObject": {"kind": "Pod", "name": self.name, "namespace": self.namespace},
            "reason": reason,
            "message": message,
            "type": kind,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }
        self._cluster.create(EVENT, event, self.namespace)

    def _write(self, status: Manifest) -> None:
        self._cluster.patch(POD, self.name, self.namespace, {"status": status}, "status")


def refuse_route(cluster: Cluster, name: str, namespace: str, message: str) -> None:
    """The gateway does not accept a route."""
    route = cluster.wait_for(HTTP_ROUTE, name, namespace)
    refused = {
        "type": "Accepted",
        "status": "False",
        "reason": "NotAllowedByListeners",
        "message": message,
        "observedGeneration": route["metadata"]["generation"],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    parents = [
        {"parentRef": parent, "controllerName": "example.com/gateway", "conditions": [refused]}
        for parent in route["spec"]["parentRefs"]
    ]
    cluster.patch(HTTP_ROUTE, name, namespace, {"status": {"parents": parents}}, "status")


def _condition(kind: str, *, holds: bool) -> Manifest:
    return {"type": kind, "status": "True" if holds else "False"}


def _state(name: str, state: dict[str, Any], *, ready: bool = False, started: bool = False, **fields: Any) -> Manifest:
    return {
        "name": name,
        "image": IMAGE,
        "imageID": "",
        "ready": ready,
        "started": started,
        "restartCount": 0,
        "state": state,
        **fields,
    }
