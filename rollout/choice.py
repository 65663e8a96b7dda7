"""Which adapter an InferenceService has."""

from __future__ import annotations

from typing import Final

from rollout import installed, knative_view, standard_view
from rollout.errors import NotPossible, NotReady
from rollout.kinds import INFERENCE_SERVICE, KNATIVE_SERVICE
from rollout.knative import KnativeTraffic
from rollout.objects import Objects
from rollout.standard import StandardTraffic
from rollout.traffic import Traffic

MODE_ANNOTATION: Final = "serving.kserve.io/deploymentMode"
KNATIVE_MODES: Final = (knative_view.MODE, "Serverless")
STANDARD_MODES: Final = (standard_view.MODE, "RawDeployment")


def traffic_of(objects: Objects, namespace: str, name: str, kserve_namespace: str = installed.NAMESPACE) -> Traffic:
    """Return what moves the traffic of an InferenceService, by the mode that KServe gave it.

    Raises:
        NotPossible: there is no such InferenceService, or its mode has no canary.
        NotReady: KServe has not looked at it yet.
        ApiError: it cannot be read.
    """
    service = objects.get(INFERENCE_SERVICE, namespace, name)
    if service is None:
        raise NotPossible(f"there is no InferenceService {name} in the namespace {namespace}")
    annotations = service["metadata"].get("annotations") or {}
    mode = service.get("status", {}).get("deploymentMode") or annotations.get(MODE_ANNOTATION, "")
    if not mode and objects.get(KNATIVE_SERVICE, namespace, f"{name}-predictor") is not None:
        mode = knative_view.MODE  # releases before 0.16 do not say
    if mode in KNATIVE_MODES:
        return KnativeTraffic(objects, namespace, name)
    if mode in STANDARD_MODES:
        return StandardTraffic(objects, namespace, name, kserve_namespace)
    if mode:
        raise NotPossible(f"{name} is served in the mode {mode}, which has no canary")
    raise NotReady(f"KServe has not looked at {name} yet: its status names no mode")
