"""What a server logs in its last moment: request lines are gathered for a while, and must not go with the process."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.servers import MODEL, running_server

REQUESTS = 20


def test_a_server_that_is_stopped_has_written_a_line_for_each_request(model_dir: Path) -> None:
    with running_server("predictor", [f"--model_dir={model_dir}"]) as server:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            for number in range(REQUESTS):
                client.post(f"/v2/models/{MODEL}/infer", content=b"{}", headers={"x-request-id": str(number)})
        code = server.process.stop()

    assert code == 0
    lines = server.log.events("predictor", "request")
    assert [event["request_id"] for event in lines] == [str(number) for number in range(REQUESTS)]
    events = [line for _, line in server.log.lines]
    assert '"stopped"' in events[-1], "lines that were gathered earlier come before one that is written at once"
