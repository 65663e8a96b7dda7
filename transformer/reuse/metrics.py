"""The metrics of what is used again; a server that reuses nothing does not have them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ReuseMetrics:
    """The counters and gauges of one server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.hits = Counter(
            "kserve_vision_cache_hits_total",
            "Pictures of requests that were answered with what the cache had of them.",
            ["model"],
            registry=registry,
        )
        self.misses = Counter(
            "kserve_vision_cache_misses_total",
            "Pictures of requests that the cache had nothing of, those included that another request was asking for.",
            ["model"],
            registry=registry,
        )
        self.collapsed = Counter(
            "kserve_vision_collapsed_pictures_total",
            "Pictures of requests that waited for what another request was asking of the same bytes, or that came "
            "several times in one request.",
            ["model"],
            registry=registry,
        )
        self.evictions = Counter(
            "kserve_vision_cache_evictions_total",
            "Pictures that the cache let go of, by the reason: size (room was needed for others), age (it was asked "
            "for after CACHE_TTL_SECONDS), closed (the model's version was unloaded or loaded anew).",
            ["reason"],
            registry=registry,
        )
        self.too_large = Counter(
            "kserve_vision_cache_too_large_total",
            "Pictures that the cache did not take, since what the model says of one is over an eighth of CACHE_MB.",
            ["model"],
            registry=registry,
        )
        self.bytes = Gauge(
            "kserve_vision_cache_bytes",
            "Bytes of what the cache holds, over all models: tensors, and an allowance of 2 KiB for each picture.",
            registry=registry,
        )
        self.entries = Gauge(
            "kserve_vision_cache_entries", "Pictures that the cache holds, over all models.", registry=registry
        )
