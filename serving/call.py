"""What is known of one request beside its tensors: who asks, how long it may take, and how long each stage took."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from serving.errors import DeadlineExceeded, RequestInvalid

REQUEST_ID_HEADERS: Final = ("x-request-id", "x-correlation-id")
TRACE_HEADERS: Final = ("traceparent", "tracestate")
TIMEOUT_HEADER: Final = "x-request-timeout-ms"

# Printable ASCII without spaces: what may stand in a header, a log line and gRPC metadata.
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
# W3C's `tracestate` has 512 characters at most; what could not stand in a header is dropped.
_TRACE: Final = re.compile(r"[\x20-\x7e]{1,512}")
_random: Final = random.Random()  # noqa: S311  # of our own: nobody else's seed makes it repeat itself
_MILLISECONDS: Final = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(slots=True)
class Call:
    """One request: made at the door, handed down to whoever works on it, logged at the end.

    `deadline` is on the clock of `time.monotonic`, in seconds. `stages` maps a stage's name to its milliseconds.
    """

    request_id: str
    protocol: str
    traces: Mapping[str, str] = field(default_factory=dict)
    deadline: float | None = None
    model_name: str = ""
    model_version: str = ""
    task: str = ""
    rows: int = 0
    urgent: bool = False
    """Whether a predictor lets its rows go before others'."""
    stages: dict[str, float] = field(default_factory=dict)
    body_bytes: int = 0
    """What is counted of its body against the server's bound (`serving.server.body.Bodies`)."""

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], protocol: str) -> Call:
        """Make a call of a request's headers (or gRPC metadata), all keys in lower case.

        An id that could not stand in a log line or a header is replaced by one of ours, not refused.
        """
        given = next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), "")
        return cls(
            request_id=given if _REQUEST_ID.fullmatch(given) else _new_id(),
            protocol=protocol,
            traces={name: headers[name] for name in TRACE_HEADERS if _TRACE.fullmatch(headers.get(name, ""))},
        )

    @property
    def id_headers(self) -> dict[str, str]:
        """The request id under both names that are in use."""
        return dict.fromkeys(REQUEST_ID_HEADERS, self.request_id)

    def limit(self, seconds: float) -> None:
        """Let the answer take no longer than `seconds` from now, unless it must come sooner already."""
        deadline = time.monotonic() + seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    def limit_by_header(self, headers: Mapping[str, str]) -> None:
        """Honour the caller's own limit, `X-Request-Timeout-Ms`.

        Raises:
            RequestInvalid: the header is no positive number of milliseconds.
        """
        stated = headers.get(TIMEOUT_HEADER)
        if stated is None:
            return
        if not _MILLISECONDS.fullmatch(stated):
            raise RequestInvalid(f"X-Request-Timeout-Ms is {stated:.40}: a positive number of milliseconds is expected")
        self.limit(int(stated) / 1000)

    def remaining_s(self) -> float | None:
        """Return the seconds that are left, or None without a deadline.

        Raises:
            DeadlineExceeded: none are left.
        """
        if self.deadline is None:
            return None
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded("the answer did not come in the time that was given")
        return remaining

    def remaining_within(self, limit_s: float) -> float:
        """Return the seconds that are left, `limit_s` at most.

        Raises:
            DeadlineExceeded: none are left.
        """
        remaining = self.remaining_s()
        return limit_s if remaining is None else min(remaining, limit_s)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Measure one stage; a stage that is entered twice adds up."""
        return _Stage(self, name)

    def widen_stage(self, name: str, seconds: float) -> None:
        """Note `seconds` for a stage that happens several times side by side: the longest counts."""
        self.stages[name] = max(self.stages.get(name, 0.0), seconds * 1000)

    def add_stage(self, name: str, seconds: float) -> None:
        """Note `seconds` for a stage that was measured elsewhere."""
        self.stages[name] = self.stages.get(name, 0.0) + seconds * 1000


class _Stage(AbstractContextManager[None]):
    """The block of one stage. A generator, as those of `contextlib`, would cost a busy event loop more."""

    __slots__ = ("_began", "_call", "_name")

    def __init__(self, call: Call, name: str) -> None:
        self._call = call
        self._name = name

    @override
    def __enter__(self) -> None:
        self._began = time.perf_counter()

    @override
    def __exit__(self, *_: object) -> None:
        self._call.add_stage(self._name, time.perf_counter() - self._began)


def _new_id() -> str:
    """Return 128 random bits in hexadecimal digits, as a UUID has them, which would ask the kernel for them each time.

    They tell requests apart, and need not be hard to guess.
    """
    return f"{_random.getrandbits(128):032x}"
