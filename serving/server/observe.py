"""One inference request as the metrics and the log see it, whichever door it came through."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType

from starlette.requests import ClientDisconnect
from typing_extensions import override

from serving.call import Call
from serving.errors import InternalError, ModelNotFound, ServingError
from serving.log import get_logger, get_request_logger
from serving.metrics import Metrics

CANCELLED = "CANCELLED"
"""The code of a request whose caller went away."""

KEPT_LABELS = 1024
"""How many combinations of labels are kept at hand for each metric."""

LOGGED_NAME = 128
"""How much of a model's name that a caller made up is logged."""

GATHER_S = 0.2
"""Seconds that a request that has ended may wait to be counted and logged, unless somebody reads the metrics."""

MOST_GATHERED = 64
"""How many that have ended are counted and logged at once: a millisecond of the event loop."""

logger = get_logger(__name__)
requests = get_request_logger()


class Observer:
    """Counts, measures and logs inference requests, and gives an unforeseen failure its place in the error tree.

    Requests that have ended are gathered for a moment, and then counted and logged one behind the other: between two
    runs of a model the code for that has left the CPU's caches, so that one by one they cost a multiple. Whoever reads
    the metrics finds all of them counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._in_flight = metrics.in_flight
        # To look a labelled metric up costs more than to count it.
        self._requests = lru_cache(KEPT_LABELS)(metrics.requests.labels)
        self._request_seconds = lru_cache(KEPT_LABELS)(metrics.request_seconds.labels)
        self._rows = lru_cache(KEPT_LABELS)(metrics.rows.labels)
        self._stage_seconds = lru_cache(KEPT_LABELS)(metrics.stage_seconds.labels)
        self._ended: deque[_Ended] = deque()
        metrics.before_reading(self.settle)

    def request(self, call: Call) -> AbstractContextManager[None]:
        """Watch one inference request from here to the end of the block.

        Raises:
            InternalError: the block raised something that is no `ServingError`; the log holds the traceback.
        """
        return _Watch(self, call)

    def begin(self) -> None:
        """A request began."""
        self._in_flight.value += 1

    def end(self, call: Call, code: str, seconds: float) -> None:
        """It ended, with the code of its answer."""
        self._in_flight.value -= 1
        self._ended.append(_Ended(call, code, seconds, time.time()))
        loop = asyncio._get_running_loop()  # noqa: SLF001  # the public one raises
        if loop is None or len(self._ended) >= MOST_GATHERED:
            self.settle()
        elif len(self._ended) == 1:
            loop.call_later(GATHER_S, self.settle)

    def settle(self) -> None:
        """Count and log the requests that have ended."""
        while self._ended:
            each = self._ended.popleft()  # so that one that cannot be counted costs no others
            self._count(each)
            _log(each)

    def _count(self, ended: _Ended) -> None:
        call, code = ended.call, ended.code
        # A name that this server does not serve is the caller's invention: as a label it could grow without bound.
        # The version is none of the caller's: the model notes its own.
        model = "" if code == ModelNotFound.code else call.model_name
        self._requests(model, call.model_version, call.protocol, code).inc()
        self._request_seconds(model, call.model_version, call.protocol).observe(ended.seconds)
        if call.rows:
            self._rows(model).observe(call.rows)
        for stage, milliseconds in call.stages.items():
            self._stage_seconds(model, stage).observe(milliseconds / 1000)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A request that has ended, at a time in seconds since 1970."""

    call: Call
    code: str
    seconds: float
    at: float


class _Watch(AbstractContextManager[None]):
    """The block of one request. A generator would cost a busy event loop more."""

    __slots__ = ("_began", "_call", "_observer")

    def __init__(self, observer: Observer, call: Call) -> None:
        self._observer = observer
        self._call = call

    @override
    def __enter__(self) -> None:
        self._began = time.perf_counter()
        self._observer.begin()

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        code = "OK"
        try:
            match error:
                case None:
                    pass
                case ServingError():
                    code = error.code
                case Exception() if not isinstance(error, ClientDisconnect):
                    code = InternalError.code
                    raise report_unforeseen(self._call, error) from error
                case _:
                    code = CANCELLED
        finally:
            self._observer.end(self._call, code, time.perf_counter() - self._began)


def _log(ended: _Ended) -> None:
    call = ended.call
    requests.info(
        "request",
        request_id=call.request_id,
        protocol=call.protocol,
        model=call.model_name[:LOGGED_NAME],
        version=call.model_version[:LOGGED_NAME],
        task=call.task,
        code=ended.code,
        rows=call.rows,
        ms=round(ended.seconds * 1000, 2),
        stages_ms={stage: round(milliseconds, 2) for stage, milliseconds in call.stages.items()},
        ended_at=ended.at,
    )


def report_unforeseen(call: Call, error: Exception) -> InternalError:
    """Log a bug with its traceback, and return what the caller is told: its request id, to find the line by."""
    logger.error("unforeseen", request_id=call.request_id, error=type(error).__name__, exc_info=error)
    return InternalError(f"something failed that should not; the server's log tells of request {call.request_id}")
