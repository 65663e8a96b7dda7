"""The metrics of a server. Each help text says the unit, and where the measured time begins and ends.

A server owns its registry, so that two servers in one process (tests, one-process mode) do not share counters.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from typing_extensions import override

from serving.version import __version__

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


BOUNDS = ("rows", "mb", "seconds")
"""What a request can be refused by before its work begins."""


class Level:
    """A number that goes up and down with each request, on the event loop. Its gauge asks for it when it is read, which
    costs a request less than to tell the gauge.
    """

    __slots__ = ("__weakref__", "value")

    def __init__(self) -> None:
        self.value = 0

    def read(self) -> float:
        """Return it."""
        return self.value


@dataclass(frozen=True, slots=True)
class QueueMeter:
    """The counters of one queue, with their labels."""

    rows: Level
    size: Level
    rejected: Mapping[str, Counter]


class Metrics:
    """The counters, gauges and histograms of one server."""

    def __init__(self, server: str) -> None:
        self.registry = CollectorRegistry()
        self._levels: weakref.WeakValueDictionary[tuple[Gauge, tuple[str, ...]], Level] = weakref.WeakValueDictionary()
        self._settling = _Settling()
        self.registry.register(self._settling)  # before all others, since they are read in this order
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
            "Seconds of one stage of a request. Of a transformer: cache (the digests of the pictures, a thread's turn "
            "included), collapsed (waiting for what another request asks of the same picture), queue (a thread was "
            "asked for, until it was free, and there was memory for the picture), decode (encoded bytes to the "
            "picture's own pixels), preprocess (encoded pictures to pixels of the model's size, queue and decode "
            "included), predictor (tensors sent, until tensors came back), of which predictor_queue and compute are "
            "what a predictor of ours says of itself, and wire is the rest; postprocess (tensors to answers), draw (an "
            "answer onto its picture, queue included). Of a predictor: queue (let in, until its first rows run), "
            "compute (until its last rows have run).",
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
        self.in_flight = self.level_of(
            Gauge(
                "kserve_vision_in_flight_requests",
                "Requests that were accepted and not answered yet.",
                registry=self.registry,
            )
        )
        self.body_bytes = Gauge(
            "kserve_vision_body_bytes",
            "Bytes of the bodies (gRPC: messages) of requests, from their arrival to the end of their request.",
            registry=self.registry,
        )
        self.decoding_bytes = Gauge(
            "kserve_vision_decoding_bytes",
            "Bytes of memory that the pictures which a transformer is decoding take at most, of MAX_DECODE_MB.",
            registry=self.registry,
        )
        self.queue_rows = Gauge(
            "kserve_vision_queue_rows",
            "Rows that were admitted and wait for a thread or are worked on: a version's in a predictor, the decoder's "
            "in a transformer, which all models share (empty labels). Those that wait in a predictor are these less "
            "kserve_vision_running_rows.",
            ["model", "version"],
            registry=self.registry,
        )
        self.queue_bytes = Gauge(
            "kserve_vision_queue_bytes",
            "Bytes of what kserve_vision_queue_rows counts: of the input tensors, or of the encoded pictures.",
            ["model", "version"],
            registry=self.registry,
        )
        self.rejected = Counter(
            "kserve_vision_rejected_requests_total",
            "Requests that were refused before their work began, by the bound that they met: rows (MAX_QUEUE_ROWS), mb "
            "(MAX_QUEUE_MB), seconds (MAX_QUEUE_SECONDS).",
            ["model", "version", "bound"],
            registry=self.registry,
        )
        self.load = Gauge(
            "kserve_vision_load",
            "Rows that were admitted, waiting or worked on, over those that can be worked on at once: at 1 everything "
            "is busy, above it a queue forms. The signal to scale by. Of a version in a predictor; of the decoder in a "
            "transformer (empty labels): pictures that are decoded or wait for that, not those that the predictor has.",
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

    def before_reading(self, settle: Callable[[], None]) -> None:
        """Have `settle` called before the metrics are read: by whoever gathers what is to be counted."""
        self._settling.calls.append(settle)

    def settle(self) -> None:
        """Count all that was gathered."""
        self._settling.collect()

    def level_of(self, gauge: Gauge, *labels: str) -> Level:
        """Return what a gauge with these labels shows; all who ask for the same change the same."""
        level = self._levels.get((gauge, labels)) or Level()
        self._levels[gauge, labels] = level
        (gauge.labels(*labels) if labels else gauge).set_function(level.read)
        return level

    def forget(self, gauge: Gauge, *labels: str) -> None:
        """Take a gauge's series away; who asks for it again begins at 0, whatever still hangs on the old one."""
        self._levels.pop((gauge, labels), None)
        gauge.remove(*labels)

    def queue_of(self, model: str = "", version: str = "") -> QueueMeter:
        """Return what counts the requests that are let in to a version, or to the decoder."""
        return QueueMeter(
            self.level_of(self.queue_rows, model, version),
            self.level_of(self.queue_bytes, model, version),
            {bound: self.rejected.labels(model, version, bound) for bound in BOUNDS},
        )

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the form that `accept` asks for, if it makes sense, and its content type."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # of versions and weights that are no numbers
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type


class _Settling(Collector):
    """Has no metrics of its own: being read, it has others count what they have gathered."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def describe(self) -> list[Metric]:
        """Return the names to be registered: none."""
        return []

    @override
    def collect(self) -> list[Metric]:
        for settle in self.calls:
            settle()
        return []
