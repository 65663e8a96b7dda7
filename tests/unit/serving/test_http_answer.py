from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.http_answer import MAX_HEAD_BYTES, Answer, AnswerReader, AnswerTooLarge, AnswerUnreadable

LIMIT = 100_000
BODY = bytes(range(256)) * 4 + b"\r\n\r\n" + b"end"
"""It holds what a head ends with."""


def chunked(body: bytes, size: int) -> bytes:
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Name: a\r\nx-name: b\r\n\r\n" % len(BODY) + BODY
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BODY, 100)
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nx-name: interim\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def read(whole: bytes, sizes: list[int] | None = None, *, limit: int = LIMIT, ends: bool = False) -> Answer | None:
    """Give the reader pieces of these sizes, and then the rest, in the way that a connection does."""
    reader = AnswerReader(limit)
    pieces = iter(sizes or [])
    while whole:
        place = reader.place()
        size = next(pieces, len(whole))
        piece = whole[: size if place is None else min(size, len(place))]
        whole = whole[len(piece) :]
        if place is None:
            reader.read(piece)
        else:
            place[: len(piece)] = piece
            reader.received(len(piece))
    if ends:
        reader.end()
    return reader.answer


SIZES = st.lists(st.integers(1, 300), max_size=40)


@given(st.sampled_from([PLAIN, CHUNKED, CONTINUED]), SIZES)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(whole: bytes, sizes: list[int]) -> None:
    answer = read(whole, sizes)

    assert answer is not None
    assert (answer.status, bytes(answer.body), answer.keep_alive) == (200, BODY, True)


@given(st.sampled_from([PLAIN, CHUNKED, CONTINUED, EMPTY, NO_CONTENT]), SIZES, st.integers(0, 2000))
def test_an_answer_that_is_not_whole_is_none(whole: bytes, sizes: list[int], missing: int) -> None:
    assert read(whole[: -1 - missing], sizes, ends=True) is None


@pytest.mark.parametrize("more", [b"x", PLAIN])
@pytest.mark.parametrize("whole", [PLAIN, CHUNKED, CONTINUED, EMPTY, NO_CONTENT])
def test_after_an_answer_with_more_behind_it_the_connection_is_not_used_again(whole: bytes, more: bytes) -> None:
    expected = read(whole)
    answer = read(whole + more)

    assert expected is not None
    assert answer is not None
    assert (bytes(answer.body), answer.status, answer.keep_alive) == (bytes(expected.body), expected.status, False)


@given(st.binary(max_size=200), SIZES)
def test_whatever_comes_is_an_answer_or_unreadable_or_not_whole(data: bytes, sizes: list[int]) -> None:
    with suppress(AnswerUnreadable, AnswerTooLarge):
        read(b"HTTP/1.1 200 OK\r\n" + data, sizes, ends=True)


def test_a_body_that_came_with_its_head_is_not_copied_and_one_that_came_later_is_received_in_place() -> None:
    reader = AnswerReader(LIMIT)
    reader.read(PLAIN[: -len(BODY)])
    place = reader.place()

    assert place is not None
    assert len(place) == len(BODY)
    place[:] = BODY
    reader.received(len(BODY))
    assert reader.answer is not None
    assert bytes(reader.answer.body) == BODY


def test_a_header_that_is_repeated_is_a_list_and_interim_ones_are_forgotten() -> None:
    answer = read(CONTINUED)

    assert answer is not None
    assert answer.headers == {"content-length": str(len(BODY)), "x-name": "a, b"}


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n\r\nab",
    ],
)
def test_a_server_that_closes_is_not_asked_again_on_that_connection(head: bytes) -> None:
    answer = read(head, ends=True)

    assert answer is not None
    assert (bytes(answer.body), answer.keep_alive) == (b"ab", False)


@pytest.mark.parametrize(
    "bad",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 abc OK\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_unreadable_at_once(bad: bytes) -> None:
    with pytest.raises(AnswerUnreadable):
        read(bad)


@pytest.mark.parametrize(
    "whole",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(bytes(1001), 100),
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1001),
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (MAX_HEAD_BYTES // 6),
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD_BYTES // 25 + 1),
    ],
    ids=["stated", "chunked", "until the end", "a long header", "many headers", "many interim answers"],
)
def test_what_is_over_its_limit_is_too_large(whole: bytes) -> None:
    with pytest.raises(AnswerTooLarge):
        read(whole, [700] * 1000, limit=1000)


def test_an_upgrade_is_an_answer_to_refuse() -> None:
    answer = read(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n\0\0")

    assert answer is not None
    assert (answer.status, answer.keep_alive) == (101, False)
