"""What an HTTPRoute says of the split: the weights that were accepted by its gateways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rollout.kinds import Manifest

ACCEPTED: Final = ("Accepted", "ResolvedRefs")


@dataclass(frozen=True, slots=True)
class Route:
    """An InferenceService's HTTPRoute; `manifest` is None where it has none."""

    manifest: Manifest | None

    def names(self, service: str) -> bool:
        """Whether each rule that has backends names a Service among them, with whatever weight."""
        rules = self.rules
        return bool(rules) and all(service in rule for rule in rules)

    def mentions(self, service: str) -> bool:
        """Whether any rule names a Service."""
        return any(service in rule for rule in self.rules)

    def share(self, service: str) -> int | None:
        """The percentage of the requests that a Service gets; None where no gateway has accepted the route as it is,
        or its rules do not agree.
        """
        if self.why_not:
            return None
        shares = {_share(rule, service) for rule in self.rules}
        return shares.pop() if len(shares) == 1 else None

    def only(self, service: str) -> bool:
        """Whether no other Service is named, and the gateways have accepted that."""
        return not self.why_not and bool(self.rules) and all(set(rule) == {service} for rule in self.rules)

    @property
    def why_not(self) -> str:
        """Why the route does not say who gets what; empty where it does."""
        if self.manifest is None:
            return "there is no HTTPRoute"
        metadata = self.manifest["metadata"]
        parents = (self.manifest.get("status") or {}).get("parents") or ()
        if not parents:
            asked = " and ".join(map(_gateway, self.manifest["spec"].get("parentRefs") or ())) or "none"
            return (
                f"no gateway has answered for HTTPRoute {metadata['name']} (asked: {asked}): is it there, and its "
                "controller?"
            )
        found = (_why_not_by(parent, metadata["name"], metadata["generation"]) for parent in parents)
        return next(filter(None, found), "")

    @property
    def rules(self) -> list[dict[str, int]]:
        """The Services and weights of each rule that has some."""
        if self.manifest is None:
            return []
        rules = [rule.get("backendRefs") or () for rule in self.manifest["spec"].get("rules") or ()]
        return [{each["name"]: each.get("weight", 1) for each in backends} for backends in rules if backends]


def _why_not_by(parent: Manifest, route: str, generation: int) -> str:
    """Why one of its gateways has not taken the route as it is; empty where it has."""
    gateway = _gateway(parent.get("parentRef") or {})
    conditions = {each["type"]: each for each in parent.get("conditions") or ()}
    for kind in ACCEPTED:
        found = conditions.get(kind)
        if found is None:
            return f"the gateway {gateway} does not say whether HTTPRoute {route} is {kind}"
        if found["status"] != "True":
            said = f"({found.get('reason', kind)}): {found.get('message', '')}".rstrip(": ")
            return f"the gateway {gateway} has not accepted HTTPRoute {route} {said}"
        if found.get("observedGeneration", generation) != generation:
            return f"the gateway {gateway} has not looked at the latest HTTPRoute {route}"
    return ""


def _gateway(reference: Manifest) -> str:
    return "/".join(filter(None, (reference.get("namespace"), reference.get("name")))) or "of no name"


def _share(rule: dict[str, int], service: str) -> int:
    total = sum(rule.values())
    return round(100 * rule.get(service, 0) / total) if total else 0
