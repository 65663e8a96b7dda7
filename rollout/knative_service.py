"""What a Knative Service says of its revisions: which is which, what each gets, and what is not ready."""

from __future__ import annotations

from dataclasses import dataclass

from rollout.kinds import Manifest, is_true, why_not

SOURCE: str = "internal.serving.kserve.io/storage-initializer-sourceuri"
"""The annotation by which KServe tells a pod's webhook where the model is."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """A predictor's Knative Service, with what KServe says was rolled out last."""

    knative: Manifest
    rolled_out: str
    """The revision that had all traffic last."""

    @property
    def created(self) -> str:
        """The newest revision."""
        return str(self._status.get("latestCreatedRevisionName", ""))

    @property
    def is_fresh(self) -> bool:
        """Whether the status is that of the present spec."""
        return bool(self._status.get("observedGeneration") == self.knative["metadata"]["generation"])

    @property
    def newest_is_ready(self) -> bool:
        """Whether the newest revision is ready, and is that of the present spec."""
        return self.is_fresh and self.created != "" and self._status.get("latestReadyRevisionName") == self.created

    @property
    def is_settled(self) -> bool:
        """Whether the newest revision is ready, and has been rolled out."""
        return self.newest_is_ready and self.rolled_out == self.created

    @property
    def asked(self) -> int | None:
        """The share of the newest revision that KServe asked Knative for."""
        targets = self.knative["spec"].get("traffic") or ()
        shares = [each.get("percent") or 0 for each in targets if each.get("latestRevision")]
        return sum(shares) if shares else None

    def serves(self, uri: str) -> bool:
        """Whether the present spec is that of a model."""
        template = self.knative["spec"]["template"]
        said = [(template.get("metadata") or {}).get("annotations", {}).get(SOURCE)]
        for container in template["spec"].get("containers") or ():
            said += [variable.get("value") for variable in container.get("env") or ()]
        return uri in said

    def share(self, revision: str) -> int | None:
        """The share of the traffic that a revision has, by the status; None where the status names no traffic."""
        traffic = self._status.get("traffic")
        if not traffic:
            return None
        return sum(each.get("percent") or 0 for each in traffic if each.get("revisionName") == revision)

    def url(self, revision: str) -> str:
        """Where a revision that has a tag can be asked."""
        traffic = self._status.get("traffic") or ()
        return next((each["url"] for each in traffic if each.get("revisionName") == revision and each.get("url")), "")

    @property
    def why(self) -> str:
        """What keeps the newest revision from being ready, as far as Knative says."""
        if not self.is_fresh:
            return "Knative has not looked at it yet"
        for kind in ("ConfigurationsReady", "RoutesReady", "Ready"):
            if not is_true(self.knative, kind):
                return why_not(self.knative, kind) or f"the condition {kind} is not true"
        return ""

    @property
    def _status(self) -> Manifest:
        status: Manifest = self.knative.get("status") or {}
        return status
