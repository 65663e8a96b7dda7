"""What is looked at before a canary starts in Standard mode."""

from __future__ import annotations

from typing import Final

from rollout.errors import NotPossible, NotReady, WrongPhase
from rollout.kinds import DEPLOYMENT, INFERENCE_SERVICE, SERVICE, Manifest
from rollout.naming import workload_name
from rollout.objects import Objects
from rollout.scene import Scene
from rollout.standard_view import View

AUTOSCALER_CLASS: Final = "serving.kserve.io/autoscalerClass"


def check_kind(scene: Scene) -> None:
    """Refuse an InferenceService whose canary would get no traffic, or cannot be made.

    Raises:
        NotPossible: its kind has none.
        WrongPhase: somebody made one.
    """
    if "transformer" in scene.spec:
        raise NotPossible(
            f"{scene.name} has a transformer in pods of its own, which asks the stable predictor only, or is passed "
            "by in some releases of KServe: a canary in Standard mode needs the transformer in the predictor's pod, or "
            "an InferenceService of its own; nothing was written"
        )
    if "canaryTrafficPercent" in scene.predictor:
        raise NotPossible(
            f"{scene.name} sets canaryTrafficPercent, which KServe ignores in Standard mode: take it away first, so "
            "that nobody relies on it; nothing was written"
        )
    if (scene.service["metadata"].get("annotations") or {}).get(AUTOSCALER_CLASS) == "keda":
        raise NotPossible(
            f"{scene.name} is scaled by KEDA, and KServe makes a candidate's ScaledObject without triggers, which is "
            "refused: take another autoscaler for the time of the canary; nothing was written"
        )
    if scene.spec.get("canary"):
        raise WrongPhase(
            f"{scene.name} has spec.canary, and kserve-vision did not start that canary: take it away, and start again"
        )


def check_route(view: View) -> None:
    """Refuse to start where nobody would split the traffic.

    Raises:
        NotPossible, NotReady: as their names say.
    """
    scene = view.scene
    if view.route.manifest is None:
        raise NotPossible(
            f"{scene.name} has no HTTPRoute, so that nobody would split its traffic: KServe makes one with Gateway API "
            "(ingress.enableGatewayApi), and not for a cluster-local service; nothing was written"
        )
    if view.route.why_not:
        raise NotReady(f"nobody would split the traffic of {scene.name}: {view.route.why_not}")


def check_free(objects: Objects, scene: Scene, version: str) -> None:
    """Refuse a name whose Deployment, Service or HTTPRoute is another's, or will be: KServe would write into it.

    Raises:
        NotPossible: it is.
    """
    workload = workload_name(scene.name, version)
    named = [(kind, workload) for kind in (DEPLOYMENT, SERVICE, INFERENCE_SERVICE)]
    for kind, name in (*named, (INFERENCE_SERVICE, workload.removesuffix("-predictor"))):
        manifest = objects.get(kind, scene.namespace, name)
        if manifest is not None and not _is_owned(manifest, scene):
            raise NotPossible(
                f"a candidate called {version} would be {workload}, which is another's: {kind} {name} is there. "
                "Name the candidate otherwise, with --version-name; nothing was written"
            )


def _is_owned(manifest: Manifest, scene: Scene) -> bool:
    """Whether it is what is left of an earlier candidate, which KServe takes away."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return any(each.get("uid") == scene.service["metadata"]["uid"] for each in owners)
