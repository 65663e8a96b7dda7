"""One line a request."""

from __future__ import annotations

from tests.sdk.asking import ask_about_a_picture
from tests.sdk.scripted_predictor import ScriptedPredictor
from tests.sdk.sides import Server
from tests.sdk.trap import trap

REQUESTS = 5


@trap("the SDK writes four lines for each request: at 200 a second, 800 lines a second")
def test_a_request_is_one_line(transformer: Server, scripted: ScriptedPredictor) -> None:
    before = len(transformer.log.lines)
    for _ in range(REQUESTS):
        ask_about_a_picture(transformer).raise_for_status()
    assert len(scripted.seen) == REQUESTS
    written = len(transformer.log.lines) - before
    assert written // REQUESTS <= 1  # a line of an earlier test may have come late
