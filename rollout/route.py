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
        rules = self._rules
        return bool(rules) and all(service in rule for rule in rules)

    def mentions(self, service: str) -> bool:
        """Whether any rule names a Service."""
        return any(service in rule for rule in self._rules)

    def share(self, service: str) -> int | None:
        """The percentage of the requests that a Service gets; None where no gateway has accepted the route as it is,
        or its rules do not agree.
        """
        if self.why_not:
            return None
        shares = {_share(rule, service) for rule in self._rules}
        return shares.pop() if len(shares) == 1 else None

    def only(self, service: str) -> bool:
        """Whether no other Service is named, and the gateways have accepted that."""
        return not self.why_not and bool(self._rules) and all(set(rule) == {service} for rule in self._rules)

    @property
    def why_not(self) -> str:
        """Why the route does not say who gets what; empty where it does."""
        if self.manifest is None:
            return "there is no HTTPRoute"
        name, generation = self.manifest["metadata"]["name"], self.manifest["metadata"]["generation"]
        parents = self.manifest.get("status", {}).get("parents") or ()
        if not parents:
            return f"no gateway has looked at HTTPRoute {name}"
        for parent in parents:
            conditions = {each["type"]: each for each in parent.get("conditions") or ()}
            for kind in ACCEPTED:
                found = conditions.get(kind, {})
                if found.get("status") != "True":
                    return (
                        f"HTTPRoute {name} is not {kind}: {found.get('message') or found.get('reason') or 'not said'}"
                    )
                if found.get("observedGeneration", generation) != generation:
                    return f"the gateway has not looked at the latest HTTPRoute {name}"
        return ""

    @property
    def _rules(self) -> list[dict[str, int]]:
        """The Services and weights of each rule that has some."""
        if self.manifest is None:
            return []
        rules = [rule.get("backendRefs") or () for rule in self.manifest["spec"].get("rules") or ()]
        return [{each["name"]: each.get("weight", 1) for each in backends} for backends in rules if backends]


def _share(rule: dict[str, int], service: str) -> int:
    total = sum(rule.values())
    return round(100 * rule.get(service, 0) / total) if total else 0
