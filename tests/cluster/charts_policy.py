"""InferenceServices that the platform's admission policy lets through or refuses, and who says what of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.examples import container, inference_service, predictor
from tests.cluster.manifests import Manifest
from tests.cluster.refusal import Refuser

STANDARD: Final = {"serving.kserve.io/deploymentMode": "Standard"}
KNATIVE: Final = {"serving.kserve.io/deploymentMode": "Knative"}
KEDA: Final = {"serving.kserve.io/autoscalerClass": "keda"}
OURS: Final = "example.com/vision/kserve-vision-predictor:1"
SEPARATE: Final = predictor(container(image="example.com/vision/kserve-vision-transformer:1"))
MODEL: Final = {"modelFormat": {"name": "onnx"}, "runtime": "kserve-vision", "storageUri": "s3://models/1"}
ALONE: Final = MODEL | {"runtime": "kserve-vision-predictor"}
AUTOSCALING: Final[dict[str, Any]] = {
    "maxReplicas": 3,
    "scaleTarget": 3,
    "scaleMetric": "cpu",
    "scaleMetricType": "Utilization",
    "autoScaling": {"metrics": []},
}
V2: Final = {"name": "v2", "model": MODEL | {"storageUri": "s3://models/2"}}


@dataclass(frozen=True)
class Bad:
    """A manifest, and what is said of it."""

    manifest: Manifest
    says: str


def model_spec(model: Manifest = MODEL, **fields: Any) -> Manifest:
    """A predictor with a model."""
    return {"model": model, **fields}


def canary_of(
    annotations: dict[str, str] | None = None, transformer: Manifest | None = None, **fields: Any
) -> Manifest:
    """An InferenceService with a canary, of which these are fields."""
    candidates = [{"trafficPercent": 10, "predictor": V2 | fields}]
    others: dict[str, Any] = {"transformer": transformer} if transformer else {}
    stable = model_spec(ALONE) if transformer else model_spec()
    return inference_service(stable, annotations=annotations or STANDARD, canary=candidates, **others)


def check(cluster: Cluster, bad: Bad) -> None:
    """Make sure that the policy refuses it in a namespace of its own, in these words."""
    check_in(cluster.namespace(), cluster, bad)


def check_in(namespace: str, cluster: Cluster, bad: Bad) -> None:
    """The same in a namespace that is there."""
    refused = cluster.refusal(bad.manifest, namespace)
    assert refused is not None, "nobody refuses it"
    assert (refused.by, bad.says in refused.message) == (Refuser.POLICY, True), refused.message
