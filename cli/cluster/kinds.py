"""The kinds of objects that are read and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Manifest = dict[str, Any]
"""An object as the API server takes and gives it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where objects of a kind are found."""

    version: str
    """The API's group and version: `apps/v1`."""
    plural: str
    namespaced: bool = True

    def path(self, namespace: str, name: str = "") -> str:
        """The path of an object, or of all in the namespace; of a kind outside of namespaces, all there are."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        where = f"{root}/namespaces/{namespace}" if self.namespaced and namespace else root
        return f"{where}/{self.plural}/{name}".rstrip("/")

    def __str__(self) -> str:
        group, _, _ = self.version.rpartition("/")
        return f"{self.plural}.{group}".rstrip(".")


INFERENCE_SERVICE: Final = Kind("serving.kserve.io/v1beta1", "inferenceservices")
SERVING_RUNTIME: Final = Kind("serving.kserve.io/v1alpha1", "servingruntimes")
CLUSTER_SERVING_RUNTIME: Final = Kind("serving.kserve.io/v1alpha1", "clusterservingruntimes", namespaced=False)
STORAGE_CONTAINER: Final = Kind("serving.kserve.io/v1alpha1", "clusterstoragecontainers", namespaced=False)
DEPLOYMENT: Final = Kind("apps/v1", "deployments")
POD: Final = Kind("v1", "pods")
EVENT: Final = Kind("v1", "events")
NODE: Final = Kind("v1", "nodes", namespaced=False)
NAMESPACE: Final = Kind("v1", "namespaces", namespaced=False)
CONFIG_MAP: Final = Kind("v1", "configmaps")
GATEWAY: Final = Kind("gateway.networking.k8s.io/v1", "gateways")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io/v1", "httproutes")
KNATIVE_SERVICE: Final = Kind("serving.knative.dev/v1", "services")

_KINDS: Final = {"InferenceService": INFERENCE_SERVICE}


def kind_of(manifest: Manifest) -> Kind:
    """The kind of an object that this package renders."""
    return _KINDS[manifest["kind"]]
