"""Windows of load on one target, taken one after the other by a generator that stays warm."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from cli.bench.target import Target
from load.child import Child, ChildFailed
from load.encoded import write_files
from load.plan import MAX_SECONDS, Closed, Open, Plan
from load.sample import Sample, sum_up

GENERATOR: Final = "generator"
"""The load generator's name among the processes."""
OVERLOADED: Final = ("429", "RESOURCE_EXHAUSTED")
"""How a server that is in order may refuse a first request."""
FEWEST_IN_WINDOW: Final = 200
"""Requests that a window of a search has at least, so that its 99th percentile is more than its worst."""

FAR_TOO_LATE: Final = 10
"""How many times the bound of a search an answer is waited for."""
SHORTEST_PATIENCE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How windows are taken."""

    seconds: float
    warmup_s: float
    timeout_s: float
    arrivals: str = "poisson"
    max_outstanding: int = 1000
    honour_retry_after: bool = False

    def open_loop(self, rate: float, seed: int) -> Open:
        """Return the open loop of a rate; each seed has random arrivals of its own."""
        return Open.model_validate(
            {"rate": rate, "arrivals": self.arrivals, "seed": seed, "max_outstanding": self.max_outstanding}
        )


@dataclass
class Session:
    """A generator, and what it sends to whom; made by `open_session`."""

    target: Target
    manner: Manner
    generator: Child
    files: tuple[Path, ...]
    pids: dict[str, int]
    stopped: bool = False
    """Whether Ctrl-C asked for an end."""
    _seed: int = 0
    _busy: bool = False

    def check(self) -> None:
        """Send one request, so that one that is wrong is refused before the load.

        Raises:
            ChildFailed: with the server's own words.
        """
        seconds = min(self.manner.timeout_s, MAX_SECONDS)
        plan = self._plan(Closed(clients=1), seconds=seconds, count=1, ramp_seconds=0.0, refusals="stop")
        try:
            self._ask(plan)
        except ChildFailed as error:
            if not str(error).startswith(OVERLOADED):
                raise

    def window(self, load: Closed | Open, **other: Any) -> Sample:
        """Take one window; `other` are fields of its `Plan`.

        Raises:
            ChildFailed: the generator could not, for example because a process that it watches has ended.
        """
        return self._ask(self._plan(load, **other))

    def window_at(self, rate: float, bound_ms: float) -> Sample:
        """Take one window of requests at a rate, as a search for `bound_ms` wants it: with enough of them, and no
        waiting for answers that are far too late.

        Raises:
            ChildFailed: see `window`.
        """
        self._seed += 1
        seconds = min(max(self.manner.seconds, FEWEST_IN_WINDOW / rate), MAX_SECONDS)
        patience_s = min(self.manner.timeout_s, max(FAR_TOO_LATE * bound_ms / 1000, SHORTEST_PATIENCE_S))
        return self.window(self.manner.open_loop(rate, self._seed), seconds=seconds, patience_s=patience_s)

    def interrupt(self, _number: int = signal.SIGINT, _frame: FrameType | None = None) -> None:
        """End the window that is open, and take no more."""
        if self.stopped:  # whoever asks again will not wait
            raise KeyboardInterrupt
        self.stopped = True
        if self._busy:
            self.generator.interrupt()

    def _ask(self, plan: Plan) -> Sample:
        self._busy = True
        if self.stopped:  # between the caller's look and this
            self.generator.interrupt()
        try:
            return sum_up(self.generator.ask(plan))
        finally:
            self._busy = False

    def _plan(self, load: Closed | Open, **other: Any) -> Plan:
        return Plan.model_validate(
            {
                "server": self.target.server,
                "requests": self.files,
                "load": load,
                "ramp_seconds": self.manner.warmup_s,
                "seconds": self.manner.seconds,
                "patience_s": self.manner.timeout_s,
                "refusals": "count",
                "honour_retry_after": self.manner.honour_retry_after,
                "pids": self.pids | {GENERATOR: self.generator.pid},
                **other,
            }
        )


@contextmanager
def open_session(target: Target, manner: Manner, pids: dict[str, int], folder: Path) -> Iterator[Session]:
    """Start a generator; until the block ends, Ctrl-C ends a window instead of the process.

    Raises:
        OSError: the requests cannot be written into `folder`.
    """
    files = write_files(target.requests, folder, "request")
    with Child() as generator:
        session = Session(target, manner, generator, files, pids)
        before = signal.signal(signal.SIGINT, session.interrupt)
        try:
            yield session
        finally:
            signal.signal(signal.SIGINT, before)
