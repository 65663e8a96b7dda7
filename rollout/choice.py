"""Which adapter an InferenceService has."""

from __future__ import annotations

from rollout import installed
from rollout.errors import NoSuchKind, NotPossible, NotReady
from rollout.kinds import INFERENCE_SERVICE, KNATIVE_SERVICE
from rollout.knative import KnativeTraffic
from rollout.mode import MODE_ANNOTATION, Mode, mode_of
from rollout.objects import Objects
from rollout.standard import StandardTraffic
from rollout.traffic import Traffic


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
    spelled = service.get("status", {}).get("deploymentMode") or annotations.get(MODE_ANNOTATION, "")
    if not spelled and _has_revisions(objects, namespace, name):
        spelled = Mode.KNATIVE.spelled  # releases before 0.16 do not say
    match mode_of(spelled):
        case Mode.KNATIVE:
            return KnativeTraffic(objects, namespace, name)
        case Mode.STANDARD:
            return StandardTraffic(objects, namespace, name, kserve_namespace)
    if spelled:
        raise NotPossible(f"{name} is served in the mode {spelled}, which has no canary")
    raise NotReady(f"KServe has not looked at {name} yet: its status names no mode")


def _has_revisions(objects: Objects, namespace: str, name: str) -> bool:
    try:
        return objects.get(KNATIVE_SERVICE, namespace, f"{name}-predictor") is not None
    except NoSuchKind:
        return False
