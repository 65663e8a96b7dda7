"""The kinds of objects that are read and written, beside those of a canary."""

from __future__ import annotations

from typing import Final

from rollout.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    OF,
    Kind,
    Manifest,
    condition,
)

__all__ = [
    "CONFIG_MAP", "DEPLOYMENT", "HTTP_ROUTE", "INFERENCE_SERVICE", "KNATIVE_SERVICE", "OF", "Kind", "Manifest",
    "condition",
]  # fmt: skip

SERVING_RUNTIME: Final = Kind("serving.kserve.io/v1alpha1", "servingruntimes")
CLUSTER_SERVING_RUNTIME: Final = Kind("serving.kserve.io/v1alpha1", "clusterservingruntimes", namespaced=False)
STORAGE_CONTAINER: Final = Kind("serving.kserve.io/v1alpha1", "clusterstoragecontainers", namespaced=False)
POD: Final = Kind("v1", "pods")
EVENT: Final = Kind("v1", "events")
NODE: Final = Kind("v1", "nodes", namespaced=False)
NAMESPACE: Final = Kind("v1", "namespaces", namespaced=False)
GATEWAY: Final = Kind("gateway.networking.k8s.io/v1", "gateways")
