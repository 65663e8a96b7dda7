"""InferenceServices in their smallest forms, for tests that ask what KServe makes of one field."""

from __future__ import annotations

from typing import Any, Final

from tests.cluster.manifests import Manifest

RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the restricted level of Pod Security wants of a container."""


def container(name: str = "kserve-container", **fields: Any) -> Manifest:
    """A container with an image and one port, and other fields; a field that is None is left out."""
    ports = [{"containerPort": 8080, "protocol": "TCP"}]
    whole = {"name": name, "image": "example.com/predictor:1", "ports": ports, **fields}
    return {key: value for key, value in whole.items() if value is not None}


def stored(uri: str, **fields: Any) -> Manifest:
    """A container whose model KServe fetches from `uri`."""
    return container(env=[{"name": "STORAGE_URI", "value": uri}], **fields)


def predictor(*containers: Manifest, **fields: Any) -> Manifest:
    """A predictor of these containers, or of one in its smallest form."""
    return {"containers": [*(containers or [container()])], **fields}


def inference_service(
    predictor: Manifest | None = None, *, name: str = "demo", annotations: dict[str, str] | None = None, **spec: Any
) -> Manifest:
    """An InferenceService with this predictor (none: left out) and other parts of its spec."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, **({"annotations": annotations} if annotations else {})},
        "spec": {**({} if predictor is None else {"predictor": predictor}), **spec},
    }


def canary(percent: int, *containers: Manifest, name: str = "v2", **fields: Any) -> Manifest:
    """One entry of `spec.canary`."""
    return {"trafficPercent": percent, "predictor": {"name": name, **predictor(*containers, **fields)}}
