"""What is applied for a model: its InferenceService. Pure: options in, an object out.

Everything that is the same for all models is in the ClusterServingRuntime that it names (manifests/runtimes). What is
here is what a runtime cannot say: fields of the pod, and of those only what the mode allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cli.cluster.kinds import OF, Manifest
from rollout.mode import MODE_ANNOTATION, Mode
from rollout.standard_checks import AUTOSCALER_CLASS

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PROGRAM: Final = "kserve-vision"
USER: Final = 65532
"""Of the images; the volume of the model must be readable to it."""
SPREAD_OVER: Final = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
FOR_GPUS: Final = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


@dataclass(frozen=True, slots=True)
class Wish:
    """A model to be served, and how. What is None is as the runtime says."""

    name: str
    uri: str
    mode: Mode
    namespace: str = ""
    """"" leaves it out, so that `kubectl apply` chooses."""
    spelled: str = ""
    """The mode's name in an older release of KServe; "" means the name of today."""
    runtime: str = "kserve-vision"
    gpu: bool = False
    """Whether it goes to nodes that are kept for GPUs."""
    min_replicas: int | None = None
    max_replicas: int | None = None
    cpu: str | None = None
    memory: str | None = None
    """Asked for; the limit is twice of it."""
    memory_limit: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    """Settings of the predictor."""
    service_account: str | None = None
    """Whose secrets open the store."""
    storage_container: str | None = None
    """A ClusterStorageContainer for this model; KServe 0.20 and later."""


def fewest_replicas(wish: Wish) -> int:
    """How many replicas there are at least."""
    return 1 if wish.min_replicas is None else wish.min_replicas


def inference_service(wish: Wish) -> Manifest:
    """Return the InferenceService that serves the model."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": wish.name,
            **({"namespace": wish.namespace} if wish.namespace else {}),
            "labels": {
                "app.kubernetes.io/name": PROGRAM,
                "app.kubernetes.io/instance": wish.name,
                MANAGED_BY: PROGRAM,
            },
            "annotations": _annotations(wish),
        },
        "spec": {"predictor": {**_pod(wish), **_scale(wish), "model": _model(wish)}},
    }


def _annotations(wish: Wish) -> dict[str, str]:
    mode = {MODE_ANNOTATION: wish.spelled or wish.mode.spelled}
    if wish.mode is Mode.KNATIVE:
        return mode
    scale = _scale(wish)
    is_fixed = scale["minReplicas"] == scale["maxReplicas"]
    return {**mode, AUTOSCALER_CLASS: "none" if is_fixed else "hpa"}


def _pod(wish: Wish) -> dict[str, Any]:
    fields: dict[str, Any] = {
        # Links to Services would be environment variables, which the servers would read as their settings.
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
    }
    if wish.mode is Mode.STANDARD:  # Knative refuses these, unless its features are switched on
        fields |= {
            "terminationGracePeriodSeconds": 30,
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [_spread(key) for key in SPREAD_OVER],
            **({"tolerations": [FOR_GPUS]} if wish.gpu else {}),
        }
    if wish.service_account is not None:
        fields["serviceAccountName"] = wish.service_account
    if wish.storage_container is not None:
        fields["storageContainerName"] = wish.storage_container
    return fields


def _spread(over: str) -> dict[str, Any]:
    """Spread the pods of one version, which its Deployment's hash tells from those of another."""
    return {
        "maxSkew": 1,
        "topologyKey": over,
        "whenUnsatisfiable": "ScheduleAnyway",
        "matchLabelKeys": ["app", "pod-template-hash"],
        "labelSelector": {"matchExpressions": [{"key": OF, "operator": "Exists"}]},
    }


def _scale(wish: Wish) -> dict[str, int]:
    """As many replicas as the fewest, where nobody says how many there may be."""
    least = fewest_replicas(wish)
    return {"minReplicas": least, "maxReplicas": max(1, least) if wish.max_replicas is None else wish.max_replicas}


def _model(wish: Wish) -> dict[str, Any]:
    requests = {"cpu": wish.cpu, "memory": wish.memory}
    resources = {
        "requests": {key: value for key, value in requests.items() if value is not None},
        "limits": {"memory": wish.memory_limit} if wish.memory_limit is not None else {},
    }
    given = {key: value for key, value in resources.items() if value}
    # Knative tells no container what it asks for; in Standard mode the runtime does.
    told = {"CPU_REQUEST": wish.cpu} if wish.cpu is not None and wish.mode is Mode.KNATIVE else {}
    env = [{"name": name, "value": value} for name, value in {**told, **wish.env}.items()]
    return {
        "modelFormat": {"name": "onnx"},
        "runtime": wish.runtime,
        "storageUri": wish.uri,
        **({"resources": given} if given else {}),
        **({"env": env} if env else {}),
    }
