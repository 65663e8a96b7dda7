"""Who gets the traffic of an InferenceService, as it is observed: never as it was asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cli.cluster.kinds import Manifest
from cli.cluster.observed import Observed
from cli.cluster.rendering import Mode


@dataclass(frozen=True, slots=True)
class Share:
    """What one version gets of the requests."""

    to: str
    """A Service, or a revision of Knative."""
    percent: float


def observed_shares(seen: Observed) -> list[Share]:
    """The shares that the gateway or Knative has taken on; empty where nobody says."""
    return _of_knative(seen) if seen.mode is Mode.KNATIVE else _of_routes(seen)


def remarks(seen: Observed, shares: Sequence[Share]) -> list[str]:
    """What was asked for and is not so."""
    predictor = seen.service["spec"].get("predictor") or {}
    asked = predictor.get("canaryTrafficPercent")
    said = []
    if seen.mode is Mode.STANDARD and asked is not None:
        said.append(f"canaryTrafficPercent: {asked} has no effect in Standard mode: all pods were replaced")
    served = {each.to for each in shares if each.percent > 0}
    for canary in seen.service["spec"].get("canary") or ():
        name = (canary.get("predictor") or {}).get("name", "")
        if shares and canary.get("trafficPercent") and f"{seen.name}-{name}-predictor" not in served:
            said.append(
                f"the canary {name} gets no traffic, where {canary['trafficPercent']} % are asked for: this KServe "
                "makes no split of it"
            )
    return said


def _of_knative(seen: Observed) -> list[Share]:
    components = seen.status.get("components") or {}
    traffic = (components.get("transformer") or components.get("predictor") or {}).get("traffic") or ()
    return [Share(str(each["revisionName"]), float(each.get("percent") or 0)) for each in traffic]


def _of_routes(seen: Observed) -> list[Share]:
    """The weights of the route of that name, where a gateway has taken it: those of the rule that takes all paths."""
    route = next((each for each in seen.routes if each["metadata"]["name"] == seen.name), None)
    if route is None or why_not_accepted(route):
        return []
    backends = [each for rule in route["spec"].get("rules", ())[-1:] for each in rule.get("backendRefs", ())]
    total = sum(each.get("weight", 1) for each in backends)
    return [Share(each["name"], 100 * each.get("weight", 1) / total) for each in backends] if total else []


def why_not_accepted(route: Manifest) -> str:
    """Why no gateway has taken a route; "" where one has."""
    parents: Sequence[Manifest] = (route.get("status") or {}).get("parents") or ()
    name = route["metadata"]["name"]
    if not parents:
        asked = " and ".join(_gateway(each) for each in route["spec"].get("parentRefs", ())) or "none"
        return f"no gateway has answered for the route {name} (asked: {asked}): is it there, and its controller?"
    for parent in parents:
        for each in parent.get("conditions") or ():
            if each["type"] in ("Accepted", "ResolvedRefs") and each["status"] != "True":
                gateway = _gateway(parent["parentRef"])
                return f"the gateway {gateway} has not accepted the route {name} ({each['reason']}): {each['message']}"
    return ""


def _gateway(reference: Manifest) -> str:
    return f"{reference['namespace']}/{reference['name']}" if reference.get("namespace") else str(reference["name"])
