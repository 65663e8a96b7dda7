"""The metrics of a server. Each help text says the unit, and where the measured time begins and ends.

A server owns its registry, so that two servers in one process (tests, one-process mode) do not share counters.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from serving.version import __version__

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters, gauges and histograms of one server."""

    def __init__(self, server: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.info = Gauge(
            "kserve_vision_info", "1; the version is in the labels.", ["server", "version"], registry=self.registry
        )
        self.info.labels(server, __version__).set(1)
        self.requests = Counter(
            "kserve_vision_requests_total",
            "Inference requests that were answered, by the code of the answer: OK, or the error's own code.",
            ["model", "version", "protocol", "code"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "kserve_vision_request_seconds",
            "Seconds from the last byte of an inference request's head to its answer handed to the transport.",
            ["model", "version", "protocol"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "kserve_vision_stage_seconds",
            "Seconds of one stage of a request: queue (a thread was asked for, until it was free), preprocess (encoded "
            "pictures to pixels of the model's size, queue included), predictor (tensors sent, until tensors came "
            "back), compute (the runs of the model), postprocess (tensors to answers), draw (an answer onto its "
            "picture, queue included).",
            ["model", "stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.rows = Histogram(
            "kserve_vision_request_rows",
            "Pictures, or rows of the first tensor, in one inference request.",
            ["model"],
            buckets=ROWS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "kserve_vision_in_flight_requests",
            "Requests that were accepted and not answered yet.",
            registry=self.registry,
        )
        self.queue_rows = Gauge(
            "kserve_vision_queue_rows",
            "Rows that were admitted and wait for a thread or are worked on: a version's in a predictor (its label is "
            "empty where the contract says it), the decoder's in a transformer, which all models share (no labels).",
            ["model", "version"],
            registry=self.registry,
        )
        self.load_seconds = Gauge(
            "kserve_vision_model_load_seconds",
            "Seconds from the start of loading a version of a model to the end of its warm-up.",
            ["model", "version"],
            registry=self.registry,
        )
        self.model_ready = Gauge(
            "kserve_vision_model_ready",
            "1 while a version of a model can be asked, 0 while it is loading or has failed to load. The version is "
            "empty where the contract says it, and could not be read.",
            ["model", "version"],
            registry=self.registry,
        )
        self.contract_mismatches = Counter(
            "kserve_vision_contract_mismatches_total",
            "Answers of the predictor that carried another contract digest than the transformer's.",
            ["model"],
            registry=self.registry,
        )

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the form that `accept` asks for, if it makes sense, and its content type."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # of versions and weights that are no numbers
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type
