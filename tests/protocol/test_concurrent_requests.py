"""Many clients at once: each gets the answer to its own request, under its own id."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from .answers import Answer
from .binary import binary_request
from .rest import RestServer, document, read_answer
from .rpc import RpcServer
from .tensors import Tensor, assert_same

Inputs = Callable[..., list[Tensor]]
Ask = Callable[[int], Answer]
CLIENTS = 16


@pytest.fixture(scope="module")
def questions(make_inputs: Inputs) -> list[list[Tensor]]:
    return [make_inputs(seed=100 + 10 * client) for client in range(CLIENTS)]


@pytest.fixture(scope="module")
def expected(rest: RestServer, questions: list[list[Tensor]]) -> list[Answer]:
    """The answers when one is asked after the other."""
    return [rest.answer(inputs) for inputs in questions]


def test_over_rest_each_has_its_own_answer(
    rest: RestServer, questions: list[list[Tensor]], expected: list[Answer]
) -> None:
    assert_own(lambda client: rest.answer(questions[client], id=f"client-{client}"), expected)


@pytest.mark.needs("binary")
def test_over_rest_in_bytes_each_has_its_own_answer(
    rest: RestServer, questions: list[list[Tensor]], expected: list[Answer]
) -> None:
    assert_own(
        lambda client: read_answer(binary_request(questions[client], id=f"client-{client}").send(rest)), expected
    )


@pytest.mark.needs("grpc")
def test_over_grpc_each_has_its_own_answer(
    rpc: RpcServer, questions: list[list[Tensor]], expected: list[Answer]
) -> None:
    def ask(client: int) -> Answer:
        request = rpc.any(questions[client])
        request.id = f"client-{client}"
        return rpc.answer(request)

    assert_own(ask, expected)


@pytest.mark.needs("grpc")
def test_over_rest_and_grpc_at_once_each_has_its_own_answer(
    rest: RestServer, rpc: RpcServer, questions: list[list[Tensor]], expected: list[Answer]
) -> None:
    def ask(client: int) -> Answer:
        if client % 2:
            return rest.answer(questions[client], id=f"client-{client}")
        request = rpc.any(questions[client])
        request.id = f"client-{client}"
        return rpc.answer(request)

    assert_own(ask, expected)


def test_a_bad_request_does_not_spoil_its_neighbours(
    rest: RestServer, questions: list[list[Tensor]], expected: list[Answer]
) -> None:
    def ask(client: int) -> Answer:
        spoiled = document(questions[client])
        del spoiled["inputs"][0]["data"]
        rest.assert_refused(rest.infer(spoiled))
        return rest.answer(questions[client], id=f"client-{client}")

    assert_own(ask, expected)


def assert_own(ask: Ask, expected: list[Answer]) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(ask, range(CLIENTS)))
    assert [answer.id for answer in answers] == [f"client-{client}" for client in range(CLIENTS)]
    for answer, alone in zip(answers, expected, strict=True):
        assert_same(answer.outputs, alone.outputs)
