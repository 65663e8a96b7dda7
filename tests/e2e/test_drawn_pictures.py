from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.photos import photo, photo_bytes
from tests.servers import RunningPair

TIMEOUT_S = 30.0
IDS = ("x-request-id", "x-correlation-id")


def ask(pair: RunningPair, picture: bytes | None = None, accept: str = "*/*", **query: Any) -> httpx.Response:
    return httpx.post(
        f"{pair.transformer.url}/predict",
        params=query,
        headers={"accept": accept, "x-request-id": "abc"},
        files={"file": photo_bytes("coffee") if picture is None else picture},
        timeout=TIMEOUT_S,
    )


def opened(answer: httpx.Response) -> Image.Image:
    return Image.open(io.BytesIO(answer.content))


def test_render_answers_the_picture_with_the_classes_below_it(pair: RunningPair) -> None:
    answer = ask(pair, render="true")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert [answer.headers[name] for name in IDS] == ["abc", "abc"]
    drawn = opened(answer)
    coffee = np.asarray(photo("coffee"), np.float32)
    height, width, _ = coffee.shape
    assert drawn.width == width
    assert drawn.height > height
    assert np.abs(np.asarray(drawn.crop((0, 0, width, height)), np.float32) - coffee).mean() < 5


@pytest.mark.parametrize("picture_format", ["jpeg", "png", "webp"])
def test_the_accept_header_chooses_the_format(pair: RunningPair, picture_format: str) -> None:
    answer = ask(pair, accept=f"image/{picture_format}")
    assert answer.headers["content-type"] == f"image/{picture_format}"
    assert opened(answer).format == picture_format.upper()


def test_without_being_asked_the_answer_is_json(pair: RunningPair) -> None:
    assert ask(pair).json()["predictions"][0]["label"] == "espresso"
    assert ask(pair, accept="image/png", render="false").json()["predictions"][0]["label"] == "espresso"


def test_what_a_request_changes_of_the_answer_is_drawn(pair: RunningPair) -> None:
    assert opened(ask(pair, render="true", top_k=10)).height > opened(ask(pair, render="true", top_k=1)).height


@pytest.mark.parametrize(
    ("picture", "query", "status", "code"),
    [
        (b"no picture", {}, 415, "IMAGE_UNSUPPORTED"),
        (b"", {}, 400, "IMAGE_EMPTY"),
        (None, {"render": "perhaps"}, 400, "REQUEST_INVALID"),
        (None, {"top_k": "0"}, 400, "REQUEST_INVALID"),
        (None, {"renders": "true"}, 400, "REQUEST_INVALID"),
    ],
)
def test_errors_stay_json(
    pair: RunningPair, picture: bytes | None, query: dict[str, str], status: int, code: str
) -> None:
    answer = ask(pair, picture, "image/png", **query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-request-id"] == "abc"


def test_a_batch_is_not_drawn(pair: RunningPair) -> None:
    url = f"{pair.transformer.url}/predict/batch"
    refused = httpx.post(url, params={"render": "true"}, files={"files": photo_bytes("coffee")}, timeout=TIMEOUT_S)
    assert refused.status_code == 400
    assert "render is not one of" in refused.json()["error"]["message"]
