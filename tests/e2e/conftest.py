from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.photos import encoded, photo
from tests.servers import RunningPair

from .doors import Client, raw_body


@pytest.fixture(scope="session")
def client(pair: RunningPair) -> Iterator[Client]:
    """Connections to the transformer that all tests share."""
    client = Client(pair.transformer)
    yield client
    client.close()


@pytest.fixture(scope="session")
def predictor_client(pair: RunningPair) -> Iterator[Client]:
    """Connections to the predictor behind it."""
    client = Client(pair.predictor)
    yield client
    client.close()


@pytest.fixture(scope="session")
def cat() -> bytes:
    """A photograph of a cat, JPEG."""
    return encoded(photo("chelsea"), "JPEG")


@pytest.fixture
def still_serves(pair: RunningPair, client: Client, cat: bytes) -> Iterator[None]:
    """Once the test is over, neither server has met anything unforeseen, and a good picture is answered."""
    before = len(pair.log.lines)
    yield
    answer = raw_body(client, cat)
    assert (answer.is_ok, answer.label) == (True, "tiger cat")
    news = "\n".join(line for _, line in pair.log.lines[before:])
    assert "unforeseen" not in news, news
    assert "Traceback" not in news, news
