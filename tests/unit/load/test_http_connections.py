from __future__ import annotations

import asyncio

import pytest

from load.answer import CONNECTION_CLOSED, MAX_ANSWER_BYTES, NO_CONNECTION, TOO_LARGE, UNREADABLE, WRONG, Answer
from load.encoded import http_request
from load.http import HttpClients
from load.plan import Route, Server
from tests.unit.load.answering import BUSY, CLOSE, NEVER, OK, PREDICTIONS, Answering, answering

REQUEST = http_request("/anything", {}, b"x" * 100_000)


async def exchange(port: int, times: int = 1, route: Route = "other") -> tuple[list[Answer], HttpClients]:
    clients = HttpClients(Server(protocol="http", port=port, route=route))
    connection = clients.connect()
    answers = [await connection.exchange(REQUEST) for _ in range(times)]
    await clients.close()
    return answers, clients


async def test_a_connection_is_kept_for_all_requests() -> None:
    with answering(lambda _: OK) as server:
        answers, _ = await exchange(server.port, 5)

    assert [answer.kind for answer in answers] == ["200"] * 5
    assert server.connections == 1
    assert server.requests == [REQUEST] * 5


async def test_a_refusal_is_an_answer_and_the_next_request_goes_the_same_way() -> None:
    with answering(lambda number: BUSY if number == 0 else OK) as server:
        answers, _ = await exchange(server.port, 2)

    assert [answer.kind for answer in answers] == ["429 FULL", "200"]
    assert answers[0].retry_after_s == 1.0
    assert server.connections == 1


async def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    with answering(lambda _: OK, close_after_each=True) as server:
        answers, _ = await exchange(server.port, 3)

    assert [answer.kind for answer in answers] == ["200"] * 3
    assert server.connections == 3


async def test_a_request_that_crosses_the_close_of_an_idle_connection_is_sent_once_more() -> None:
    with answering(lambda number: CLOSE if number == 1 else OK) as server:
        answers, clients = await exchange(server.port, 2)

    assert [answer.kind for answer in answers] == ["200", "200"]
    assert clients.reconnected == 1
    assert len(server.requests) == 3


async def test_a_server_that_closes_every_connection_is_reported_and_not_asked_for_ever() -> None:
    with answering(lambda _: CLOSE) as server:
        ((answer,), _) = await exchange(server.port)

    assert answer.kind == CONNECTION_CLOSED
    assert len(server.requests) == 1


async def test_an_answer_that_is_cut_off_is_reported() -> None:
    with answering(lambda _: OK[:-1], close_after_each=True) as server:
        ((answer,), _) = await exchange(server.port)

    assert (answer.is_ok, answer.kind) == (False, CONNECTION_CLOSED)


async def test_what_is_no_http_is_reported() -> None:
    with answering(lambda _: b"220 mail.example ESMTP\r\n\r\n") as server:
        ((answer,), _) = await exchange(server.port)

    assert answer.kind == UNREADABLE
    assert "220 mail" in answer.said


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"content-length: %d\r\n\r\n" % (MAX_ANSWER_BYTES + 1), f"body is over {MAX_ANSWER_BYTES} bytes"),
        (b"x: " + b"y" * 100_000, "head is over 65536 bytes"),
    ],
)
async def test_an_answer_over_the_bound_is_not_read_and_the_bound_is_said(head: bytes, said: str) -> None:
    with answering(lambda _: b"HTTP/1.1 200 OK\r\n" + head) as server:
        ((answer,), _) = await exchange(server.port)

    assert (answer.is_ok, answer.kind) == (False, TOO_LARGE)
    assert said in answer.said


async def test_an_answer_that_the_route_does_not_give_is_no_success() -> None:
    page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>"
    with answering(lambda number: page if number == 1 else PREDICTIONS) as server:
        answers, _ = await exchange(server.port, 3, "predict")

    assert [answer.kind for answer in answers] == ["200", WRONG, "200"]
    assert "text/html" in answers[1].said
    assert server.connections == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"success":false,"error":{"code":"OVERLOADED","message":"full"}}', "429 OVERLOADED"),
        (b'{"error":"OVERLOADED: full"}', "429 OVERLOADED"),
        (b"too many", "429"),
        (b'{"error":"Too many"}', "429"),
    ],
)
async def test_an_error_is_of_the_kind_of_its_status_and_code(body: bytes, kind: str) -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\ncontent-length: %d\r\n\r\n" % len(body)
    with answering(lambda _: head + body) as server:
        ((answer,), _) = await exchange(server.port)

    assert (answer.is_ok, answer.kind, answer.retry_after_s) == (False, kind, 3.0)
    assert answer.said == body.decode()


async def test_of_a_long_error_only_the_begin_is_kept() -> None:
    with answering(lambda _: b"HTTP/1.1 500 Oops\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1_000_000) as server:
        ((answer,), _) = await exchange(server.port)

    assert (answer.length, answer.said) == (1_000_000, "x" * 300)


async def test_where_nobody_listens_the_system_says_why() -> None:
    with answering(lambda _: OK) as server:
        port = server.port

    ((answer,), _) = await exchange(port)

    assert (answer.is_ok, answer.kind) == (False, NO_CONNECTION)
    assert "Errno 111" in answer.said


async def test_the_answer_to_a_request_that_was_given_up_is_not_taken_for_the_next() -> None:
    def script(number: int) -> bytes:
        return NEVER if number == 0 else OK

    async def give_up_and_go_on(server: Answering) -> Answer:
        clients = HttpClients(Server(protocol="http", port=server.port))
        connection = clients.connect()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connection.exchange(REQUEST)
        answer = await connection.exchange(REQUEST)
        await clients.close()
        return answer

    with answering(script) as server:
        assert (await give_up_and_go_on(server)).kind == "200"
        assert server.connections == 2
