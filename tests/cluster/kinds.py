"""The kinds of objects that tests ask for."""

from __future__ import annotations

from typing import Final

from rollout.kinds import Kind

INFERENCE_SERVICE: Final = Kind("serving.kserve.io/v1beta1", "inferenceservices")
SERVING_RUNTIME: Final = Kind("serving.kserve.io/v1alpha1", "servingruntimes")
CLUSTER_SERVING_RUNTIME: Final = Kind("serving.kserve.io/v1alpha1", "clusterservingruntimes", namespaced=False)
INFERENCE_GRAPH: Final = Kind("serving.kserve.io/v1alpha1", "inferencegraphs")
DEPLOYMENT: Final = Kind("apps/v1", "deployments")
POD: Final = Kind("v1", "pods")
SERVICE: Final = Kind("v1", "services")
CONFIG_MAP: Final = Kind("v1", "configmaps")
EVENT: Final = Kind("v1", "events")
NAMESPACE: Final = Kind("v1", "namespaces", namespaced=False)
NODE: Final = Kind("v1", "nodes", namespaced=False)
SERVICE_ACCOUNT: Final = Kind("v1", "serviceaccounts")
AUTOSCALER: Final = Kind("autoscaling/v2", "horizontalpodautoscalers")
SCALED_OBJECT: Final = Kind("keda.sh/v1alpha1", "scaledobjects")
KNATIVE_SERVICE: Final = Kind("serving.knative.dev/v1", "services")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io/v1", "httproutes")
VIRTUAL_SERVICE: Final = Kind("networking.istio.io/v1beta1", "virtualservices")
RESOURCE_DEFINITION: Final = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False)
POLICY: Final = Kind("admissionregistration.k8s.io/v1", "validatingadmissionpolicies", namespaced=False)
POLICY_BINDING: Final = Kind("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", namespaced=False)
STORAGE_CONTAINER: Final = Kind("serving.kserve.io/v1alpha1", "clusterstoragecontainers", namespaced=False)
