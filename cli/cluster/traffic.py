"""Who gets the traffic of an InferenceService, as it is observed: never as it was asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cli.cluster.observed import Observed
from rollout.mode import Mode
from rollout.naming import workload_name
from rollout.route import Route


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
        if shares and canary.get("trafficPercent") and workload_name(seen.name, name) not in served:
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
    found = next((each for each in seen.routes if each["metadata"]["name"] == seen.name), None)
    route = Route(found)
    if route.why_not or not route.rules:
        return []
    weights = route.rules[-1]
    total = sum(weights.values())
    return [Share(name, 100 * weight / total) for name, weight in weights.items()] if total else []
