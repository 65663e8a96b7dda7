from __future__ import annotations

import time

import pytest

from serving.call import Call
from serving.errors import DeadlineExceeded, RequestInvalid


@pytest.mark.parametrize("name", ["x-request-id", "x-correlation-id"])
def test_a_request_id_is_taken_under_either_name_and_given_back_under_both(name: str) -> None:
    call = Call.from_headers({name: "abc-123"}, "http")

    assert call.request_id == "abc-123"
    assert call.id_headers == {"x-request-id": "abc-123", "x-correlation-id": "abc-123"}


def test_of_two_request_ids_the_first_name_wins() -> None:
    call = Call.from_headers({"x-correlation-id": "second", "x-request-id": "first"}, "http")

    assert call.request_id == "first"


@pytest.mark.parametrize("given", ["a", "~" * 128, "!#$%&'*+-.^_`|~", "urn:uuid:0"])
def test_an_id_that_can_stand_in_a_header_is_kept(given: str) -> None:
    assert Call.from_headers({"x-request-id": given}, "http").request_id == given


@pytest.mark.parametrize("given", ["", " ", "a b", "a\nb", "a" * 129, "é", "\x7f", 'x"\r\nset-cookie: a=b'])
def test_an_id_that_cannot_is_replaced_and_not_refused(given: str) -> None:
    replaced = Call.from_headers({"x-request-id": given}, "http").request_id

    assert replaced != given
    assert len(bytes.fromhex(replaced)) == 16


def test_calls_without_an_id_get_one_each() -> None:
    assert len({Call.from_headers({}, "http").request_id for _ in range(100)}) == 100


def test_traces_are_passed_on_and_no_other_header() -> None:
    call = Call.from_headers({"traceparent": "00-1-2-01", "tracestate": "a=b", "cookie": "secret"}, "http")

    assert call.traces == {"traceparent": "00-1-2-01", "tracestate": "a=b"}


@pytest.mark.parametrize(("stated", "seconds"), [("1", 0.001), ("1500", 1.5), ("999999999", 999_999.999)])
def test_the_callers_limit_is_in_milliseconds(stated: str, seconds: float) -> None:
    call = Call("id", "http")

    before = time.monotonic()
    call.limit_by_header({"x-request-timeout-ms": stated})

    assert call.deadline is not None
    assert before + seconds <= call.deadline <= time.monotonic() + seconds


@pytest.mark.parametrize("stated", ["", "0", "-1", "1.5", "1e3", "soon", "1000000000", "²", "٣", " 5", "9" * 5000])
def test_a_limit_that_is_no_number_of_milliseconds_is_refused(stated: str) -> None:
    with pytest.raises(RequestInvalid, match=r"X-Request-Timeout-Ms is .*a positive number") as caught:
        Call("id", "http").limit_by_header({"x-request-timeout-ms": stated})

    assert len(caught.value.message) < 200


def test_the_nearer_of_two_limits_holds_whichever_came_first() -> None:
    one, other = Call("id", "http"), Call("id", "http")
    one.limit(10)
    one.limit(1000)
    other.limit(1000)
    other.limit(10)

    for call in (one, other):
        remaining = call.remaining_s()
        assert remaining is not None
        assert 0 < remaining <= 10


def test_without_a_limit_there_is_no_end() -> None:
    assert Call("id", "http").remaining_s() is None


def test_a_limit_that_has_passed_is_an_error() -> None:
    call = Call("id", "http", deadline=time.monotonic() - 1)

    with pytest.raises(DeadlineExceeded):
        call.remaining_s()


@pytest.mark.parametrize("trace", ["", "a\nb", "é", "a" * 513])
def test_a_trace_that_could_not_stand_in_a_header_is_dropped(trace: str) -> None:
    assert Call.from_headers({"tracestate": trace}, "http").traces == {}


def test_of_a_stage_that_happens_side_by_side_the_longest_counts() -> None:
    call = Call("id", "http")
    for seconds in (0.25, 0.5, 0.125):
        call.widen_stage("queue", seconds)

    assert call.stages == {"queue": 500.0}


def test_a_stage_that_is_entered_twice_adds_up() -> None:
    call = Call("id", "http")
    call.add_stage("queue", 0.25)
    call.add_stage("queue", 0.5)

    assert call.stages == {"queue": 750.0}


def test_a_stage_is_measured_even_where_it_fails() -> None:
    call = Call("id", "http")

    with pytest.raises(ZeroDivisionError), call.stage("predictor"):
        1 / 0  # noqa: B018

    assert call.stages["predictor"] >= 0
