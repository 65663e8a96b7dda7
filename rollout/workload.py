"""A version's Deployment in Standard mode: how many of its pods serve, and what keeps the rest."""

from __future__ import annotations

from dataclasses import dataclass

from rollout.kinds import Manifest, condition


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment; `manifest` is None where there is none."""

    manifest: Manifest | None

    @property
    def available(self) -> int:
        """Pods that serve what the Deployment's latest spec says."""
        if self.manifest is None:
            return 0
        status = self.manifest.get("status") or {}
        if status.get("observedGeneration", 0) < self.manifest["metadata"]["generation"]:
            return 0
        return min(int(status.get("availableReplicas") or 0), int(status.get("updatedReplicas") or 0))

    @property
    def why(self) -> str:
        """Why pods are missing, as far as the Deployment knows."""
        if self.manifest is None:
            return "its Deployment is not there yet"
        for kind, bad in (("ReplicaFailure", "True"), ("Progressing", "False"), ("Available", "False")):
            found = condition(self.manifest, kind)
            if found.get("status") == bad:
                return str(found.get("message") or found.get("reason"))
        return f"{self.available} of {self.manifest['spec'].get('replicas', 1)} pods are available"
