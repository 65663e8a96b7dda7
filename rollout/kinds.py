"""The kinds of objects that a canary is made of, and where the API server has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Manifest = dict[str, Any]
"""An object of Kubernetes, as JSON."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects in namespaces."""

    version: str
    """Group and version: `apps/v1`."""
    plural: str
    name: str

    def path(self, namespace: str, name: str = "") -> str:
        """The path of an object, or of all of the kind in a namespace."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}/{name}".rstrip("/")

    def __str__(self) -> str:
        return self.name


INFERENCE_SERVICE: Final = Kind("serving.kserve.io/v1beta1", "inferenceservices", "InferenceService")
KNATIVE_SERVICE: Final = Kind("serving.knative.dev/v1", "services", "Knative Service")
DEPLOYMENT: Final = Kind("apps/v1", "deployments", "Deployment")
AUTOSCALER: Final = Kind("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io/v1", "httproutes", "HTTPRoute")
CONFIG_MAP: Final = Kind("v1", "configmaps", "ConfigMap")


def condition(manifest: Manifest, kind: str) -> Manifest:
    """An object's condition of a type; empty where it has none."""
    conditions: list[Manifest] = manifest.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == kind), {})


def is_true(manifest: Manifest, kind: str) -> bool:
    """Whether a condition is there, and true."""
    return condition(manifest, kind).get("status") == "True"


def why_not(manifest: Manifest, kind: str) -> str:
    """What a condition that is not true says: `Reason: message`; empty where it says nothing."""
    found = condition(manifest, kind)
    return ": ".join(part for part in (found.get("reason"), found.get("message")) if part)
