"""Pictures and servers' answers, read within a bound: neither is what one hopes for only because it was named."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx

from load.answer import MAX_ANSWER_BYTES

MAX_PICTURE_MB: Final = 20.0
"""MiB of the largest picture that a server takes where it was told nothing else (`MAX_UPLOAD_MB`)."""

MAX_HEAD_KB: Final = 100
"""KiB of an answer's status line and headers that are read: h11's own bound."""


MIB: Final = 2**20
LARGER: Final = "--max-mb reads larger ones, for a server that takes them"
"""What to do about a picture that is not read, where a command has that option."""


class PictureTooLarge(ValueError):
    """A picture's file has more bytes than are read."""

    def __init__(self, path: Path, size: str, max_mb: float) -> None:
        self.reason = f"it has {size} MiB, where pictures of at most {max_mb:g} MiB are read"
        super().__init__(f"{path}: {self.reason}")


class AnswerTooLarge(RuntimeError):
    """A server's answer has more bytes than are read."""


def check_size(path: Path, max_mb: float) -> None:
    """Refuse a picture's file by the size that the file system tells.

    Raises:
        PictureTooLarge: it is over `max_mb` MiB.
        OSError: it is not there.
    """
    size = path.stat().st_size
    if size > max_mb * MIB:
        raise PictureTooLarge(path, f"{size / MIB:.1f}", max_mb)


def read_picture(path: Path, max_mb: float) -> bytes:
    """Return the bytes of a picture's file of at most `max_mb` MiB; of a larger one none are read.

    Raises:
        PictureTooLarge: it is larger.
        OSError: it cannot be read.
    """
    check_size(path, max_mb)
    most = int(max_mb * MIB)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:  # a pipe, or a device, tells no size
        raise PictureTooLarge(path, f"over {max_mb:g}", max_mb)
    return content


def why_not(error: httpx.RequestError) -> str:
    """Say, behind a server's address, why a request had no answer."""
    if isinstance(error, httpx.TimeoutException):
        return "did not answer in time"
    if isinstance(error, httpx.RemoteProtocolError):
        return f"gives no whole answer of HTTP/1.1 whose head is within {MAX_HEAD_KB} KiB ({error})"
    if isinstance(error, httpx.DecodingError):
        return f"packs its answer in a way that cannot be unpacked ({error})"
    return f"does not answer ({error})"


def read_answer(answer: httpx.Response) -> bytes:
    """Return the body of an answer that is a stream still.

    Raises:
        AnswerTooLarge: it is over `MAX_ANSWER_BYTES`; it is not read to its end.
        httpx.RequestError: it did not come whole, or cannot be unpacked.
    """
    parts, size = [], 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise AnswerTooLarge(f"the answer of {answer.url} has over {MAX_ANSWER_BYTES // MIB} MiB, and is not read")
        parts.append(part)
    return b"".join(parts)
