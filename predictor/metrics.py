"""What a predictor counts beside what both servers do: the runs of its models."""

from __future__ import annotations

import collections
import weakref
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from predictor.batching import Batch, Ran
from serving.metrics import ROWS, SECONDS, Metrics


class PredictorMetrics(Metrics):
    """The metrics of a predictor; `server` is another where that is not all that a process is."""

    def __init__(self, server: str = "predictor") -> None:
        super().__init__(server)
        self._holders: collections.Counter[tuple[str, str]] = collections.Counter()
        self._meters: weakref.WeakSet[RunMeter] = weakref.WeakSet()
        self.before_reading(self._settle_runs)
        labels = ["model", "version"]
        self.run_rows = Histogram(
            "kserve_vision_run_rows",
            "Rows of requests in one run of the model; those that fill it up are not counted.",
            labels,
            buckets=ROWS,
            registry=self.registry,
        )
        self.padding_rows = Counter(
            "kserve_vision_padding_rows_total",
            "Rows that runs were filled up with. Their share is this over itself and kserve_vision_run_rows_sum.",
            labels,
            registry=self.registry,
        )
        self.run_seconds = Histogram(
            "kserve_vision_run_seconds",
            "Seconds of one run on its thread, by its number of rows, padding included: from the first row gathered to "
            "the last answer parted.",
            [*labels, "size"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.running_rows = Gauge(
            "kserve_vision_running_rows",
            "Rows that were handed to a device and have not come back.",
            labels,
            registry=self.registry,
        )

    def hold(self, model: str, version: str) -> None:
        """Keep the series of a version, until each that holds them has called `release`."""
        self._holders[model, version] += 1

    def release(self, model: str, version: str) -> None:
        """Forget the series of a version that is served no more, unless its successor of the same name is."""
        self._settle_runs()
        self._holders[model, version] -= 1
        if self._holders[model, version]:
            return
        del self._holders[model, version]
        for gauge in (self.queue_rows, self.queue_bytes, self.load, self.running_rows):
            self.forget(gauge, model, version)
        for family in (self.run_rows, self.padding_rows):
            family.remove(model, version)
        for family in (self.rejected, self.run_seconds):
            family.remove_by_labels({"model": model, "version": version})

    def runs_of(self, model: str, version: str) -> RunMeter:
        """Return what counts the runs of one version."""
        meter = RunMeter(self, model, version)
        self._meters.add(meter)
        return meter

    def _settle_runs(self) -> None:
        for meter in self._meters:
            meter.settle()


MOST_GATHERED: Final = 64
"""How many runs are gathered until they are counted: one by one, between two runs, that costs a multiple."""


class RunMeter:
    """Counts the runs of one version; its labels are looked up once."""

    def __init__(self, metrics: PredictorMetrics, model: str, version: str) -> None:
        self._ended: collections.deque[tuple[int, int, float]] = collections.deque()
        self._rows = metrics.run_rows.labels(model, version)
        self._padding = metrics.padding_rows.labels(model, version)
        self._running = metrics.level_of(metrics.running_rows, model, version)
        self._seconds: dict[int, Histogram] = {}
        self._all_seconds = metrics.run_seconds
        self._labels = model, version

    def begin(self, batch: Batch) -> None:
        """A batch was handed to a device."""
        self._running.value += batch.rows

    def end(self, batch: Batch, ran: Ran | None) -> None:
        """It came back; without an account of itself where a bug ended it."""
        self._running.value -= batch.rows
        if ran is None:
            return
        self._ended.append((batch.rows, batch.size, ran.seconds))
        if len(self._ended) >= MOST_GATHERED:
            self.settle()

    def settle(self) -> None:
        """Count the runs that have ended."""
        while self._ended:
            rows, size, seconds = self._ended.popleft()
            self._rows.observe(rows)
            if size > rows:
                self._padding.inc(size - rows)
            self._seconds_of(size).observe(seconds)

    def _seconds_of(self, size: int) -> Histogram:
        seconds = self._seconds.get(size)
        if seconds is None:
            seconds = self._seconds[size] = self._all_seconds.labels(*self._labels, size)
        return seconds
