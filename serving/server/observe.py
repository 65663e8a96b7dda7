"""One inference request as the metrics and the log see it, whichever door it came through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from starlette.requests import ClientDisconnect

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

logger = get_logger(__name__)
requests = get_request_logger()


class Observer:
    """Counts, measures and logs inference requests, and gives an unforeseen failure its place in the error tree."""

    def __init__(self, metrics: Metrics) -> None:
        self._in_flight = metrics.in_flight
        # To look a labelled metric up costs more than to count it.
        self._requests = lru_cache(KEPT_LABELS)(metrics.requests.labels)
        self._request_seconds = lru_cache(KEPT_LABELS)(metrics.request_seconds.labels)
        self._rows = lru_cache(KEPT_LABELS)(metrics.rows.labels)
        self._stage_seconds = lru_cache(KEPT_LABELS)(metrics.stage_seconds.labels)

    @contextmanager
    def request(self, call: Call) -> Iterator[None]:
        """Watch one inference request from here to the end of the block.

        Raises:
            InternalError: the block raised something that is no `ServingError`; the log holds the traceback.
        """
        started = time.perf_counter()
        code = "OK"
        self._in_flight.inc()
        try:
            yield
        except ServingError as error:
            code = error.code
            raise
        except (asyncio.CancelledError, ClientDisconnect):
            code = CANCELLED
            raise
        except Exception as error:
            code = InternalError.code
            raise report_unforeseen(call, error) from error
        finally:
            self._in_flight.dec()
            self._record(call, code, time.perf_counter() - started)

    def _record(self, call: Call, code: str, seconds: float) -> None:
        # A name that this server does not serve is the caller's invention: as a label it could grow without bound.
        # The version is none of the caller's: the model notes its own.
        model = "" if code == ModelNotFound.code else call.model_name
        self._requests(model, call.model_version, call.protocol, code).inc()
        self._request_seconds(model, call.model_version, call.protocol).observe(seconds)
        if call.rows:
            self._rows(model).observe(call.rows)
        for stage, milliseconds in call.stages.items():
            self._stage_seconds(model, stage).observe(milliseconds / 1000)
        requests.info(
            "request",
            request_id=call.request_id,
            protocol=call.protocol,
            model=call.model_name[:LOGGED_NAME],
            version=call.model_version[:LOGGED_NAME],
            task=call.task,
            code=code,
            rows=call.rows,
            ms=round(seconds * 1000, 2),
            stages_ms={stage: round(milliseconds, 2) for stage, milliseconds in call.stages.items()},
        )


def report_unforeseen(call: Call, error: Exception) -> InternalError:
    """Log a bug with its traceback, and return what the caller is told: its request id, to find the line by."""
    logger.error("unforeseen", request_id=call.request_id, error=type(error).__name__, exc_info=error)
    return InternalError(f"something failed that should not; the server's log tells of request {call.request_id}")
