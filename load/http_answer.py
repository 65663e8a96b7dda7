"""HTTP/1.1 answers, as far as a load generator needs them: the status, and where the body ends.

Nothing of a body is kept but its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from load.answer import SAID_LENGTH, Answer, code_of

_HEAD_END: Final = b"\r\n\r\n"
_LINE_END: Final = b"\r\n"
_MAX_HEAD: Final = 64 * 2**10
_MAX_LINE: Final = 2**10
_INFORMATION: Final = b"1"
_EMPTY: Final = (b"204", b"304")


class BadAnswer(ValueError):
    """What came is no HTTP/1.1 answer."""


class _Body(Protocol):
    def take(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return what of `data` is the body's, and, where the body ends in it, what follows."""


@dataclass(slots=True)
class _Stated:
    """A body of a stated length."""

    missing: int

    def take(self, data: bytes) -> tuple[bytes, bytes | None]:
        if len(data) < self.missing:
            self.missing -= len(data)
            return data, None
        return data[: self.missing], data[self.missing :]


class _UntilClosed:
    """A body that ends with the connection."""

    def take(self, data: bytes) -> tuple[bytes, bytes | None]:
        return data, None


@dataclass(slots=True)
class _Chunked:
    """A body in chunks, each behind a line with its size (RFC 9112, 7.1)."""

    line: bytes = b""
    missing: int = 0
    """Bytes of the chunk, and of the line end behind it, that are still to come."""
    is_last: bool = False

    def take(self, data: bytes) -> tuple[bytes, bytes | None]:
        body = b""
        while data:
            if self.missing:
                chunk, data = data[: self.missing], data[self.missing :]
                body += chunk[: max(self.missing - len(_LINE_END), 0)]
                self.missing -= len(chunk)
                continue
            line, ended, data = (self.line + data).partition(_LINE_END)
            if not ended:
                self.line = line
                if len(line) > _MAX_LINE:
                    raise BadAnswer(f"a chunk's size is a line of over {_MAX_LINE} bytes")
                break
            self.line = b""
            if self.is_last and not line:
                return body, data
            if not self.is_last:
                self._begin(line)
        return body, None

    def _begin(self, line: bytes) -> None:
        try:
            size = int(line.split(b";", 1)[0], 16)
        except ValueError as error:
            raise BadAnswer(f"a chunk's size is {line[:20]!r}") from error
        self.is_last = size == 0
        self.missing = size + len(_LINE_END) if size else 0


@dataclass(slots=True)
class _Head:
    status: bytes
    headers: Mapping[bytes, bytes]

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get(b"connection") != b"close"

    def body(self) -> _Body:
        if self.status in _EMPTY:
            return _Stated(0)
        if b"chunked" in self.headers.get(b"transfer-encoding", b""):
            return _Chunked()
        length = self.headers.get(b"content-length")
        if length is None:
            return _UntilClosed()
        if not length.isdigit():
            raise BadAnswer(f"the content-length is {length[:20]!r}")
        return _Stated(int(length))


@dataclass
class AnswerReader:
    """Finds the end of one answer after the other in a stream of bytes."""

    keeps_alive: bool = True
    """Whether the server leaves the connection open after the answers so far."""
    _buffer: bytes = b""
    _head: _Head | None = None
    _body: _Body = field(default_factory=_UntilClosed)
    _length: int = 0
    _beginning: bytes = b""

    @property
    def has_begun(self) -> bool:
        """Whether bytes of an answer came that is not whole."""
        return self._head is not None or bool(self._buffer)

    def feed(self, data: bytes) -> Answer | None:
        """Take the next bytes; return the answer once it is whole.

        Raises:
            BadAnswer: the bytes are no HTTP/1.1 answer.
        """
        if self._head is None:
            self._buffer += data
            data = self._read_head()
            if self._head is None:
                return None
        piece, after = self._body.take(data)
        self._length += len(piece)
        if len(self._beginning) < SAID_LENGTH:
            self._beginning += piece[:SAID_LENGTH]
        if after is None:
            return None
        self._buffer = after
        return self._finish()

    def end(self) -> Answer | None:
        """Return the answer that the end of the connection makes whole, where there is one."""
        if self._head is None or not isinstance(self._body, _UntilClosed):
            return None
        return self._finish()

    def _read_head(self) -> bytes:
        """Read the head where it is whole, and return what stands behind it."""
        while True:
            head, found, after = self._buffer.partition(_HEAD_END)
            if not found:
                if len(head) > _MAX_HEAD:
                    raise BadAnswer(f"the answer's head has over {_MAX_HEAD} bytes")
                return b""
            self._buffer = after
            parsed = _parse(head)
            if not parsed.status.startswith(_INFORMATION):
                break
        self._head, self._body, self._buffer = parsed, parsed.body(), b""
        return after

    def _finish(self) -> Answer:
        assert self._head is not None  # noqa: S101  # a body is read behind its head
        head, length, beginning = self._head, self._length, self._beginning
        self._head, self._length, self._beginning = None, 0, b""
        self.keeps_alive = head.keeps_alive
        if head.status == b"200":
            return Answer(is_ok=True, kind="200", length=length)
        return _refusal(head, length, beginning[:SAID_LENGTH])


def _refusal(head: _Head, length: int, beginning: bytes) -> Answer:
    after = head.headers.get(b"retry-after", b"")
    return Answer(
        is_ok=False,
        kind=f"{head.status.decode()} {code_of(beginning)}".rstrip(),
        length=length,
        said=beginning.decode(errors="replace").strip(),
        retry_after_s=float(after) if after.isdigit() else None,
    )


def _parse(head: bytes) -> _Head:
    first, *lines = head.split(_LINE_END)
    version, _, rest = first.partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise BadAnswer(f"the answer begins with {first[:40]!r}")
    named = (line.partition(b":") for line in lines)
    return _Head(status, {name.strip().lower(): value.strip().lower() for name, _, value in named})
