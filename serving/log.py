"""Logs: one JSON object a line on standard error, one line a request.

Our own lines go to the stream without the standard library's records; those of requests are gathered for a moment
(`lines.py`). The lines of libraries (uvicorn, the KServe SDK, grpc) come out in the same form, from WARNING up: at INFO
they would add four lines to each request of ours.
"""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, Final, Literal, TextIO

import orjson
import structlog

from serving.lines import LineWriter

LIBRARIES: Final = (
    "uvicorn", "uvicorn.error", "uvicorn.access", "kserve", "kserve.trace", "httpx", "httpcore", "grpc",
    "python_multipart.multipart",
)  # fmt: skip
TALKATIVE: Final = ("uvicorn.error", "python_multipart.multipart")
"""They warn of each malformed request, which anybody can send."""

LogFormat = Literal["json", "console"]

Logger = structlog.typing.FilteringBoundLogger

GATHERED: Final = "gathered"
"""What the logger of request lines says of itself to `_LineLoggers`."""


def _stamp(_logger: object, _level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Write the time of an event: that of its line, or `ended_at`, in seconds since 1970, where it says that."""
    ended_at = event.pop("ended_at", None)
    event["time"] = _iso(time.time() if ended_at is None else ended_at)
    return event


_STAMP: Final = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    _stamp,
)


def configure_logging(level: str, form: LogFormat, server: str) -> None:
    """Send our lines, and the libraries' warnings, to standard error; `server` names the process in each line."""
    number = logging.getLevelNamesMapping()[level]
    as_json = form == "json"
    writer = LineWriter(_unbuffered(sys.stderr.buffer), partial(_lost_lines, server)) if as_json else None
    factory: Any = _LineLoggers(writer) if writer else structlog.PrintLoggerFactory(_CurrentStderr())
    structlog.configure(
        processors=[*_STAMP, *_rendering(as_bytes=as_json, as_json=as_json)],
        logger_factory=factory,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=as_json,  # a server's; a command may be one of several in its process
    )
    structlog.contextvars.bind_contextvars(server=server)
    _configure_libraries(number, _Lines(writer) if writer else sys.stderr, as_json=as_json)


def get_logger(name: str) -> Logger:
    """Return the logger of a module."""
    logger: Logger = structlog.get_logger(name)
    return logger


def get_request_logger() -> Logger:
    """Return the logger of the line that each request gets: as JSON, it is written a moment later, with others."""
    logger: Logger = structlog.get_logger(GATHERED)
    return logger


def get_life_logger() -> Logger:
    """Return the logger of what a server lives through (listening, ready, draining): written whatever the level."""
    logger: Logger = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    return logger


class _CurrentStderr(io.StringIO):
    """Standard error as it is when a line is written: a program may have put another stream in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _LineLoggers:
    """Makes structlog's innermost loggers: they get a line, and hand it to the writer."""

    def __init__(self, writer: LineWriter) -> None:
        self._now = _LineLogger(writer.write)
        self._soon = _LineLogger(writer.gather)

    def __call__(self, *arguments: object) -> _LineLogger:
        return self._soon if GATHERED in arguments else self._now


class _LineLogger:
    """Has a method for each level, as structlog calls them."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        def log(line: bytes) -> None:
            write(line + b"\n")

        self.debug = self.info = self.warning = self.error = self.critical = log


class _Lines(io.StringIO):
    """The writer as the standard library's handler sees a stream."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def write(self, text: str) -> int:
        self._writer.write(text.encode())
        return len(text)


def _unbuffered(stream: BinaryIO) -> BinaryIO | io.RawIOBase:
    """Return what is under a stream's buffer; there is none where Python was told so, or where standard error is not a
    file.
    """
    return stream.raw if isinstance(stream, io.BufferedWriter) else stream


def _lost_lines(server: str, count: int) -> bytes:
    """Tell of lines that nobody read, on the thread that writes, which has no context to know the server of."""
    stamp = _iso(time.time())
    event = {"server": server, "lines": count, "event": "lines were lost", "level": "warning", "time": stamp}
    return _to_bytes(event) + b"\n"


def _configure_libraries(level: int, stream: TextIO, *, as_json: bool) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(as_bytes=False, as_json=as_json),
            ],
            foreign_pre_chain=_STAMP,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
        library.setLevel(max(logging.ERROR if name in TALKATIVE else logging.WARNING, level))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _rendering(*, as_bytes: bool, as_json: bool) -> list[structlog.typing.Processor]:
    if not as_json:
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    serializer = _to_bytes if as_bytes else _to_text
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=serializer)]


def _to_bytes(event: object, **_: object) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


def _to_text(event: object, **_: object) -> str:
    return _to_bytes(event).decode()
