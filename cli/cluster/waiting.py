"""Why an InferenceService is not ready: one sentence from all that is seen of it. Pure.

The order is that of what happens: KServe takes it up, makes a workload of it, pods are placed, images are pulled, the
model is fetched and loaded, and a route leads to it. The first that is not done is what is waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cli.cluster.kinds import Manifest, condition
from cli.cluster.observed import Observed, event_time
from cli.cluster.pods import Reason, is_ready, why_not_ready
from rollout.knative_service import SOURCE
from rollout.mode import Mode
from rollout.route import Route

STOP: Final = "serving.kserve.io/stop"
FINAL: Final = ("RuntimeNotRecognized", "NoSupportingRuntime", "RuntimeDisabled", "InvalidPredictorSpec")
"""KServe's reasons that no waiting mends."""
FINAL_MESSAGES: Final = ("StorageURI not supported", "No ServingRuntimes or ClusterServingRuntimes", "no runtime found")


def why_waiting(seen: Observed) -> Reason | None:
    """Say why an InferenceService is not ready; None where it is."""
    if seen.condition("Stopped").get("status") == "True":
        return Reason(f"it was stopped, by the annotation {STOP}: take that away", is_final=True)
    if not (workloads := _workloads(seen)) or _is_outdated(seen, workloads):
        return _why_no_workload(seen, workloads)
    reason = _why_no_pods(seen, workloads) or _why_pods(seen) or _why_workload(seen) or _why_route(seen)
    if reason is not None:
        return reason
    ready = seen.condition("Ready")
    if ready.get("status") == "True":
        return None
    return Reason(_condition_text(seen) or "KServe has not said that it is ready")


def _workloads(seen: Observed) -> Sequence[Manifest]:
    return seen.knative if seen.mode is Mode.KNATIVE else seen.deployments


def _is_outdated(seen: Observed, workloads: Sequence[Manifest]) -> bool:
    """Whether the workload is still that of an address before."""
    predictor = seen.service["spec"].get("predictor") or {}
    asked = (predictor.get("model") or {}).get("storageUri")
    # A promoted canary keeps its version's name.
    name = "-".join(filter(None, (seen.name, predictor.get("name"), "predictor")))
    stable = next((each for each in workloads if each["metadata"]["name"] == name), None)
    if stable is None:
        return True
    source = (stable["spec"]["template"]["metadata"].get("annotations") or {}).get(SOURCE)
    return None not in (asked, source) and asked != source


def _why_no_workload(seen: Observed, workloads: Sequence[Manifest]) -> Reason:
    failure = (seen.status.get("modelStatus") or {}).get("lastFailureInfo") or {}
    about = [each for each in seen.events if each["involvedObject"]["kind"] == "InferenceService"]
    if about and about[-1].get("type") == "Warning" and event_time(about[-1]) >= _changed(seen.service):
        message = about[-1]["message"]
        is_final = failure.get("reason") in FINAL or message.startswith(FINAL_MESSAGES)
        return Reason(f"KServe cannot make anything of it: {message}", is_final=is_final)
    if failure and not workloads:
        return Reason(
            f"KServe cannot make anything of it ({failure.get('reason')}): {failure.get('message')}",
            is_final=failure.get("reason") in FINAL,
        )
    if not seen.status:
        return Reason("KServe's controller has not looked at it yet")
    what = "replaced the workload of the version before" if workloads else "made a workload of it"
    return Reason(f"KServe has not {what} yet{_behind(_condition_text(seen))}")


def _why_no_pods(seen: Observed, workloads: Sequence[Manifest]) -> Reason | None:
    if seen.pods or any("pods" in each for each in seen.withheld):
        return None
    for each in workloads:
        failed = condition(each, "ReplicaFailure")
        if failed.get("status") == "True":
            return Reason(f"no pod could be made ({failed.get('reason')}): {failed.get('message')}")
    made = [each for each in seen.events if each["reason"] == "FailedCreate"]
    if made:
        return Reason(f"no pod could be made: {made[-1]['message']}")
    return None


def _why_pods(seen: Observed) -> Reason | None:
    """Why the youngest pod that is not ready is not; pods that end are none of ours."""
    waiting = [each for each in seen.pods if not is_ready(each) and not each["metadata"].get("deletionTimestamp")]
    waiting = [each for each in waiting if (each.get("status") or {}).get("phase") != "Succeeded"]
    if not waiting:
        return None
    youngest = max(waiting, key=lambda each: str(each["metadata"].get("creationTimestamp", "")))
    reason = why_not_ready(youngest, seen.events, seen.answers.get(youngest["metadata"]["name"], ""))
    ready = sum(map(is_ready, seen.pods))
    if not ready:
        return reason
    return Reason(f"{reason.text} ({ready} of {ready + len(waiting)} pods are ready)", is_final=reason.is_final)


def _why_workload(seen: Observed) -> Reason | None:
    if seen.mode is Mode.KNATIVE:
        return next(filter(None, map(_why_knative, seen.knative)), None)
    return next(filter(None, map(_why_deployment, seen.deployments)), None)


def _why_deployment(deployment: Manifest) -> Reason | None:
    name, status = deployment["metadata"]["name"], deployment.get("status") or {}
    wanted = deployment["spec"].get("replicas", 1)
    stuck = condition(deployment, "Progressing")
    if stuck.get("status") == "False":
        return Reason(f"the Deployment {name} does not get on: {stuck.get('message', stuck.get('reason'))}")
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return Reason(f"the Deployment {name} has not been taken up by the cluster's controller manager yet")
    for key, what in (("updatedReplicas", "are of the new version"), ("availableReplicas", "are available")):
        if status.get(key, 0) < wanted:
            return Reason(f"{status.get(key, 0)} of {wanted} pods of {name} {what}")
    return None


def _why_knative(service: Manifest) -> Reason | None:
    name, ready = service["metadata"]["name"], condition(service, "Ready")
    if (service.get("status") or {}).get("observedGeneration", 0) < service["metadata"]["generation"] or not ready:
        return Reason(f"Knative's controller has not taken up the Service {name} yet")
    if ready.get("status") != "True":
        said = ready.get("message") or ready.get("reason") or "it does not say why"
        return Reason(f"Knative has not made the Service {name} ready: {said}")
    return None


def _why_route(seen: Observed) -> Reason | None:
    # A route that a gateway has answered for says more than one that none has.
    routes = sorted(seen.routes, key=lambda each: not (each.get("status") or {}).get("parents"))
    refused = [why for route in routes if (why := Route(route).why_not)]
    if refused:
        return Reason(refused[0])
    ingress = seen.condition("IngressReady")
    if ingress.get("status") == "True" or not ingress:
        return None
    said = " ".join(filter(None, (ingress.get("reason"), ingress.get("message"))))
    return Reason(f"nothing leads to it yet{_behind(said)}")


def _condition_text(seen: Observed) -> str:
    """What KServe's conditions say, in its own words."""
    for kind in ("PredictorReady", "TransformerReady", "IngressReady", "Ready"):
        found = seen.condition(kind)
        if found.get("status") == "False" and (said := found.get("message") or found.get("reason")):
            return f"{kind}: {said}"
    return ""


def _changed(service: Manifest) -> str:
    """When somebody wrote the InferenceService's spec last, as the API server noted it."""
    written = [each for each in service["metadata"].get("managedFields") or () if not each.get("subresource")]
    return max((str(each.get("time", "")) for each in written), default="")


def _behind(text: str) -> str:
    return f": {text}" if text else ""
