"""The kinds of objects that a canary is made of, and where the API server has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Manifest = dict[str, Any]
"""An object of Kubernetes, as JSON."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where objects of a kind are found."""

    version: str
    """The API's group and version: `apps/v1`."""
    plural: str
    name: str = ""
    """What people call one; the resource's name where it is not given."""
    namespaced: bool = True

    @property
    def resource(self) -> str:
        """What roles and kubectl call it: `deployments.apps`."""
        group, _, _ = self.version.rpartition("/")
        return f"{self.plural}.{group}".rstrip(".")

    def path(self, namespace: str, name: str = "") -> str:
        """The path of an object, or of all in the namespace; where there is no namespace, of all there are."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        where = f"{root}/namespaces/{namespace}" if self.namespaced and namespace else root
        return f"{where}/{self.plural}/{name}".rstrip("/")

    def __str__(self) -> str:
        return self.name or self.resource


INFERENCE_SERVICE: Final = Kind("serving.kserve.io/v1beta1", "inferenceservices", "InferenceService")
KNATIVE_SERVICE: Final = Kind("serving.knative.dev/v1", "services", "Knative Service")
DEPLOYMENT: Final = Kind("apps/v1", "deployments", "Deployment")
SERVICE: Final = Kind("v1", "services", "Service")
AUTOSCALER: Final = Kind("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io/v1", "httproutes", "HTTPRoute")
CONFIG_MAP: Final = Kind("v1", "configmaps", "ConfigMap")

OF: Final = "serving.kserve.io/inferenceservice"
"""The label with an InferenceService's name, on all that KServe makes of it."""


def condition(manifest: Manifest, kind: str) -> Manifest:
    """An object's condition of a type; empty where it has none."""
    conditions: list[Manifest] = (manifest.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == kind), {})


def is_true(manifest: Manifest, kind: str) -> bool:
    """Whether a condition is there, and true."""
    return condition(manifest, kind).get("status") == "True"


def why_not(manifest: Manifest, kind: str) -> str:
    """What a condition that is not true says: `Reason: message`; empty where it says nothing."""
    found = condition(manifest, kind)
    return ": ".join(part for part in (found.get("reason"), found.get("message")) if part)
