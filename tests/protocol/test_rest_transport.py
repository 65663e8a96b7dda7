"""What HTTP lets a client choose: content types, encodings, chunks."""

from __future__ import annotations

import gzip

import pytest

from .rest import JSON, RestServer, read_answer
from .tensors import Tensor, assert_same

pytestmark = pytest.mark.usefixtures("still_serves")

BOMB_SIZE = 16 << 20


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_known_by_its_content_type_in_each_spelling(
    rest: RestServer, valid_body: bytes, content_type: str
) -> None:
    assert read_answer(rest.post(valid_body, {"content-type": content_type})).outputs


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
def test_another_content_type_is_no_fault_of_the_server(rest: RestServer, valid_body: bytes, content_type: str) -> None:
    rest.assert_no_fault(rest.post(valid_body, {"content-type": content_type}))


def test_a_missing_content_type_is_no_fault_of_the_server(rest: RestServer, valid_body: bytes) -> None:
    rest.assert_no_fault(rest.post(valid_body, {}))


def test_a_body_in_chunks_is_read_whole(rest: RestServer, valid_body: bytes, inputs: list[Tensor]) -> None:
    half = len(valid_body) // 2
    answer = read_answer(rest.post(iter([valid_body[:half], valid_body[half:]])))
    assert_same(answer.outputs, rest.answer(inputs).outputs)


@pytest.mark.parametrize("accepted", ["gzip", "identity", "deflate, gzip;q=0.5", "*"])
def test_the_client_may_accept_encodings(rest: RestServer, valid_body: bytes, accepted: str) -> None:
    assert read_answer(rest.post(valid_body, {**JSON, "accept-encoding": accepted})).outputs


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_known_encoding_is_read_or_refused(rest: RestServer, valid_body: bytes, encoding: str) -> None:
    content = gzip.compress(valid_body) if encoding == "gzip" else valid_body
    rest.assert_no_fault(rest.post(content, {**JSON, "content-encoding": encoding}))


def test_an_encoding_that_the_server_cannot_know_is_refused(rest: RestServer) -> None:
    response = rest.post(b"\x00\xffnot to be read", {**JSON, "content-encoding": "x-no-such-encoding"})
    rest.assert_refused(response, promised=(400, 415))


def test_readable_json_under_an_unknown_encoding_is_no_fault_of_the_server(rest: RestServer, valid_body: bytes) -> None:
    response = rest.post(valid_body, {**JSON, "content-encoding": "x-no-such-encoding"})
    rest.assert_no_fault(response)  # RFC 9110 8.4: a server may answer 415
    if rest.target.offers("strict"):
        rest.assert_refused(response, promised=(415,))


@pytest.mark.parametrize("lie", ["not gzip at all", "cut short", "empty"])
def test_a_body_that_is_not_the_gzip_it_claims_to_be_is_refused(rest: RestServer, valid_body: bytes, lie: str) -> None:
    content = {"not gzip at all": b"\x00\xff\x00", "cut short": gzip.compress(valid_body)[:-20], "empty": b""}[lie]
    response = rest.post(content, {**JSON, "content-encoding": "gzip"})
    rest.assert_refused(response, promised=(400, 415))


def test_a_small_gzip_of_a_large_nothing_is_refused(rest: RestServer) -> None:
    response = rest.post(gzip.compress(b" " * BOMB_SIZE), {**JSON, "content-encoding": "gzip"})
    rest.assert_refused(response, promised=(400, 413, 415))
