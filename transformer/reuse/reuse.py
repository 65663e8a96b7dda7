"""What a server reuses, over all its models: the room for it, and its metrics."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from transformer.reuse.cache import Scope, SeenCache
from transformer.reuse.metrics import ReuseMetrics
from transformer.reuse.sharing import Sharing
from transformer.settings import PictureSettings


@dataclass(frozen=True, slots=True)
class Reuse:
    """One cache, or none, for all models; requests share what is asked of one version of a model."""

    cache: SeenCache | None
    metrics: ReuseMetrics
    max_rows: int
    """The most pictures of one request."""

    @classmethod
    def of(cls, settings: PictureSettings, registry: CollectorRegistry) -> Reuse | None:
        """Return what the settings ask for: nothing by default. With a cache, identical pictures are collapsed too."""
        if not (settings.cache_mb or settings.collapse_identical):
            return None
        metrics = ReuseMetrics(registry)
        max_bytes = int(settings.cache_mb * 2**20)
        cache = SeenCache(max_bytes, settings.cache_ttl_seconds, metrics) if max_bytes else None
        return cls(cache, metrics, settings.max_queue_rows)

    def sharing(self, model: str, contract: str) -> Sharing:
        """Return what the requests for one loading of a version share; `contract` is the digest of its contract."""
        return Sharing(Scope(model, contract), self.cache, self.metrics, self.max_rows)
