from __future__ import annotations

import numpy as np
import orjson
import pytest

from load.expected import LOOKED_AT, Expectation
from load.plan import Route
from serving.http_answer import Answer
from serving.v2 import InferRequest, InferResponse, Tensor
from serving.v2 import rest as codec

PAGE = b"<!doctype html><title>Welcome</title>"
JSON = "application/json"


def answer(body: bytes, content_type: str = JSON, **headers: str) -> Answer:
    return Answer(200, {"content-type": content_type, **headers}, body, keep_alive=True)


def predictions(**others: object) -> Answer:
    return answer(orjson.dumps({"success": True, "predictions": [], **others}))


def tensors(*, binary: bool) -> Answer:
    tensor = Tensor("y", np.zeros((1, 4), dtype=np.float32))
    asked = InferRequest("m", (tensor,), binary_output=binary)
    body = codec.encode_response(InferResponse(model_name="m", model_version="1", outputs=(tensor,)), asked)
    return Answer(200, body.headers, memoryview(bytes(body)), keep_alive=True)


@pytest.mark.parametrize(
    ("route", "right"),
    [
        ("predict", predictions()),
        ("predict", predictions(predictions={"logits": [1]})),
        ("infer", tensors(binary=True)),
        ("infer", tensors(binary=False)),
        ("other", answer(PAGE, "text/html")),
    ],
)
def test_what_the_route_gives_is_right_at_first_and_later(route: Route, right: Answer) -> None:
    expectation = Expectation(route)

    assert [expectation.fault(right) for _ in range(3)] == ["", "", ""]


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    ("route", "wrong", "said"),
    [
        ("predict", answer(PAGE, "text/html"), "it is text/html and begins with '<!doctype html>"),
        ("predict", answer(b'{"message":"welcome"}'), '"predictions"'),
        ("predict", answer(b"", ""), "of no type"),
        ("infer", answer(PAGE, "text/html"), "text/html"),
        ("infer", answer(b'{"model_name":"m"}'), "outputs"),
    ],
)
def test_what_it_does_not_give_is_said_with_how_it_begins(
    route: Route, wrong: Answer, said: str, *, is_first: bool
) -> None:
    expectation = Expectation(route)
    if not is_first:
        assert not expectation.fault(predictions() if route == "predict" else tensors(binary=False))

    assert said in expectation.fault(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (answer(b'{"predictions"'), "it is no JSON"),
        (answer(b"[]"), 'JSON without "predictions"'),
        (answer(b'{"predictions": "none"}'), 'JSON without "predictions"'),
        (answer(b"\x1f\x8b", **{"content-encoding": "gzip"}), "packed with gzip"),
    ],
)
def test_the_first_answer_is_read_in_full_until_one_is_right(wrong: Answer, said: str) -> None:
    expectation = Expectation("predict")

    assert said in expectation.fault(wrong)
    assert said in expectation.fault(wrong)
    assert not expectation.fault(predictions())
    assert not expectation.fault(predictions())


def test_the_key_is_looked_for_near_the_begin_however_large_the_answer() -> None:
    expectation = Expectation("predict")
    large = b'{"predictions":[' + b"0," * 100_000 + b"0]}"
    assert not expectation.fault(answer(large))

    assert not expectation.fault(answer(large))
    assert "no " in expectation.fault(answer(b" " * LOOKED_AT + large))
