"""One HTTP/1.1 answer, read from pieces of any size.

Heads and chunked bodies are httptools' to read. A body of a stated length is not shown to the parser, which would copy
it: what is still to come of it is received straight into its place, and what came with the head is used where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

import httptools
import numpy as np

HEAD_END: Final = b"\r\n\r\n"
MAX_HEAD_BYTES: Final = 64 * 1024
"""The most bytes of an answer's status line and headers, with the interim answers before it."""
SAID_CHARACTERS: Final = 300
QUOTED_BYTES: Final = 40


class AnswerUnreadable(Exception):
    """What came is no HTTP/1.1."""


class AnswerTooLarge(Exception):
    """An answer's head or body is over its limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; the headers' names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes | memoryview
    keep_alive: bool
    """Whether the server takes another request on this connection."""

    @property
    def packing(self) -> str | None:
        """The body's content encoding, if it has one."""
        packing = self.headers.get("content-encoding", "identity").strip().lower()
        return None if packing in ("", "identity") else packing

    @property
    def said(self) -> str:
        """The begin of the body as text, for an error's message."""
        if self.packing:
            return f"({self.packing})"
        return bytes(self.body[: 4 * SAID_CHARACTERS]).decode(errors="replace")[:SAID_CHARACTERS]


class AnswerReader:
    """Reads one answer; `answer` is set when it is whole."""

    def __init__(self, max_body_bytes: int) -> None:
        self.answer: Answer | None = None
        self.has_begun = False
        self._max_body_bytes = max_body_bytes
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._in_head = True
        self._length: int | None = None
        self._keep_alive = False
        self._parts: list[bytes] = []
        self._size = 0
        self._place: memoryview | None = None

    def read(self, data: bytes) -> None:
        """Take what came next.

        Raises:
            AnswerUnreadable, AnswerTooLarge: as their names say.
        """
        self.has_begun = True
        data = self._read_heads(data)
        if self.answer is None:
            self._read_body(data)
        elif data:
            self._spoil()

    def place(self) -> memoryview | None:
        """Return where the rest of a body of known length belongs; `received` says how much was written there."""
        return None if self._place is None else self._place[self._size :]

    def received(self, count: int) -> None:
        """Note that `count` bytes more are in their place."""
        self._size += count
        if self._place is not None and self._size == len(self._place):
            self._finish(self._place)

    def end(self) -> None:
        """Note that the server closed its side, which is how a body without a length ends."""
        if self.answer is None and not self._in_head and self._length is None and not self._is_chunked:
            self._join()

    def on_message_begin(self) -> None:
        """Begin a head: the first, or one after an interim answer. httptools calls this, and what follows."""
        self._headers = {}
        if self.answer is not None:
            self._spoil()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; one that is repeated is a list."""
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """Learn how the body comes."""
        if self.answer is not None or self._is_interim:
            return
        self._in_head = False
        self._keep_alive = self._parser.should_keep_alive()
        if "content-length" in self._headers and not self._is_chunked:
            self._length = int(self._headers["content-length"])

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._size += len(body)
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Put the answer together, unless it is an interim one."""
        if self.answer is None and not self._is_interim:
            self._join()

    @property
    def _is_interim(self) -> bool:
        return self._parser.get_status_code() < HTTPStatus.OK

    @property
    def _is_chunked(self) -> bool:
        return "transfer-encoding" in self._headers

    def _read_heads(self, data: bytes) -> bytes:
        """Read up to the end of the head, and return what follows it."""
        while data and self._in_head and self.answer is None:
            found = data.find(HEAD_END)
            cut = len(data) if found < 0 else found + len(HEAD_END)
            self._head_bytes += cut
            self._parse(data[:cut])
            data = data[cut:]
            if self._head_bytes > MAX_HEAD_BYTES and self._in_head:
                raise AnswerTooLarge(f"the answer's head is over {MAX_HEAD_BYTES} bytes")
        return data

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finish(b"")  # 101: to be refused as any other status
        except httptools.HttpParserError as error:
            if self.answer is None:
                came = f": {data[:QUOTED_BYTES]!r}" if self._in_head else ""
                raise AnswerUnreadable(f"{error}{came}") from error
            self._spoil()
        self._check_size(self._length or 0)
        self._check_size(self._size)

    def _read_body(self, data: bytes) -> None:
        if self._length is not None and not self._size:
            self._begin_body(data, self._length)
        elif data:
            self._parse(data)

    def _begin_body(self, data: bytes, length: int) -> None:
        """Take what came of a body with the head, and prepare for the rest."""
        if len(data) >= length:
            self._finish(data[:length])
            if len(data) > length:
                self._spoil()
            return
        self._place = np.empty(length, np.uint8).data  # which takes memory only as it is filled
        self._place[: len(data)] = data
        self._size = len(data)

    def _check_size(self, size: int) -> None:
        if size > self._max_body_bytes:
            raise AnswerTooLarge(f"the answer's body is over {self._max_body_bytes} bytes")

    def _join(self) -> None:
        self._finish(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))

    def _finish(self, body: bytes | memoryview) -> None:
        self.answer = Answer(self._parser.get_status_code(), self._headers, body, self._keep_alive)
        del self._parser  # it holds this reader: a circle around the body

    def _spoil(self) -> None:
        """Note that more came than the answer: whose it is cannot be told, so the connection is not used again."""
        if self.answer is not None:
            self.answer = replace(self.answer, keep_alive=False)
