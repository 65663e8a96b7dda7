from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.http import AnswerReader, BadAnswer

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


def test_an_answer_is_whole_when_its_stated_length_has_come() -> None:
    reader = AnswerReader()

    assert reader.feed(ANSWER[:-1]) is None
    assert reader.feed(ANSWER[-1:]) == 5


@given(st.lists(st.integers(min_value=1, max_value=len(ANSWER) - 1), max_size=10))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int]) -> None:
    reader = AnswerReader()
    edges = [0, *sorted(set(cuts)), len(ANSWER)]

    found = [reader.feed(ANSWER[start:end]) for start, end in pairwise(edges)]

    assert found == [None] * (len(found) - 1) + [5]


def test_one_answer_is_read_after_the_other() -> None:
    reader = AnswerReader()

    assert [reader.feed(ANSWER), reader.feed(ANSWER)] == [5, 5]


def test_an_empty_body_is_an_answer() -> None:
    assert AnswerReader().feed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") == 0


def test_an_error_is_told_with_what_the_server_said() -> None:
    with pytest.raises(BadAnswer, match=r"503 Service Unavailable.*busy"):
        AnswerReader().feed(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy")


def test_an_answer_of_unknown_length_is_refused() -> None:
    with pytest.raises(BadAnswer, match="content-length"):
        AnswerReader().feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
