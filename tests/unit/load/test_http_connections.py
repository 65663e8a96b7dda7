from __future__ import annotations

import asyncio

import pytest

from load.answer import CONNECTION_CLOSED, NO_CONNECTION, UNREADABLE, Answer
from load.encoded import http_request
from load.http import HttpClients
from load.plan import Server
from tests.unit.load.answering import BUSY, CLOSE, NEVER, OK, Answering, answering

REQUEST = http_request("/anything", {}, b"x" * 100_000)


async def exchange(port: int, times: int = 1) -> tuple[list[Answer], HttpClients]:
    clients = HttpClients(Server(protocol="http", port=port))
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
