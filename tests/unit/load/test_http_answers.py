from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.http_answer import AnswerReader, BadAnswer

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;part=1\r\nhello\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\ntrailer: y\r\n\r\n"
)
INFORMED = b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n" + ANSWER


@pytest.mark.parametrize(("answer", "length"), [(ANSWER, 5), (CHUNKED, 21), (INFORMED, 5)])
@given(cuts=st.lists(st.integers(min_value=1, max_value=len(ANSWER) - 1), max_size=10))
def test_an_answer_is_whole_at_its_last_byte_however_its_bytes_are_cut(
    answer: bytes, length: int, cuts: list[int]
) -> None:
    reader = AnswerReader()
    edges = [0, *sorted(set(cuts)), len(answer) - 1, len(answer)]

    found = [reader.feed(answer[start:end]) for start, end in pairwise(sorted(set(edges)))]

    assert found[:-1] == [None] * (len(found) - 1)
    assert found[-1] is not None
    assert (found[-1].is_ok, found[-1].kind, found[-1].length) == (True, "200", length)
    assert not reader.has_begun


def test_one_answer_is_read_after_the_other() -> None:
    reader = AnswerReader()

    lengths = [answer.length for data in (ANSWER, CHUNKED, ANSWER) if (answer := reader.feed(data)) is not None]

    assert lengths == [5, 21, 5]


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\ncontent-length: 0", b"HTTP/1.1 204 No Content"])
def test_an_answer_may_have_no_body(head: bytes) -> None:
    answer = AnswerReader().feed(head + b"\r\n\r\n")

    assert answer is not None
    assert answer.length == 0


def test_an_answer_of_no_stated_length_ends_with_the_connection() -> None:
    reader = AnswerReader()

    assert reader.feed(b"HTTP/1.0 200 OK\r\n\r\nhello") is None
    assert reader.feed(b" there") is None
    answer = reader.end()

    assert answer is not None
    assert (answer.is_ok, answer.length) == (True, 11)


def test_an_answer_that_is_cut_off_is_none() -> None:
    reader = AnswerReader()
    reader.feed(ANSWER[:-1])

    assert reader.end() is None
    assert reader.has_begun


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"success":false,"error":{"code":"OVERLOADED","message":"full"}}', "429 OVERLOADED"),
        (b'{"error":"OVERLOADED: full"}', "429 OVERLOADED"),
        (b"too many", "429"),
        (b'{"error":"Too many"}', "429"),
    ],
)
def test_an_error_is_of_the_kind_of_its_status_and_code(body: bytes, kind: str) -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\ncontent-length: %d\r\n\r\n" % len(body)

    answer = AnswerReader().feed(head + body)

    assert answer is not None
    assert (answer.is_ok, answer.kind, answer.retry_after_s) == (False, kind, 3.0)
    assert answer.said == body.decode()


def test_of_a_long_error_only_the_beginning_is_kept() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 500 Oops\r\ncontent-length: 1000000\r\n\r\n")
    for _ in range(9):
        reader.feed(b"x" * 100_000)

    answer = reader.feed(b"x" * 100_000)

    assert answer is not None
    assert answer.length == 1_000_000
    assert answer.said == "x" * 300


def test_a_server_says_that_it_closes_the_connection() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n")

    assert not reader.keeps_alive


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * 2000,
        b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerReader().feed(data)
