"""What `kserve-vision canary` prints, and what it learns from the servers themselves."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from rich.console import Console

from cli.canary.comparing import http_client, told_by_servers
from cli.canary.report import next_commands, print_observed, to_json
from rollout import Observed, Phase, Version

STABLE = Version("demo-predictor", "s3://m/1", 90, ready=True)
CANDIDATE = Version("demo-v2-predictor", "s3://m/2", 10, ready=True)
RUNNING = Observed("demo", "ns", "Standard", Phase.RUNNING, 3, "17", STABLE, CANDIDATE, 10)


def _printed(observed: Observed) -> str:
    output = io.StringIO()
    print_observed(observed, Console(width=200, file=output, highlight=False, markup=False))
    return output.getvalue()


def _info(digest: str, labels: int, size: int) -> dict[str, Any]:
    contract = {"digest": digest, "task": "classification", "input": {"height": size}, "output": {}}
    return {"contract": contract, "labels": labels, "model": {"name": "demo", "version": "1"}}


@pytest.fixture
def servers() -> Iterator[dict[str, Any]]:
    """A server that answers `/NAME/info` with what the test puts under NAME, and its address under `url`."""
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.split("/")[1]
            body = json.dumps(answers.get(name)).encode()
            self.send_response(200 if name in answers else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    answers["url"] = f"http://127.0.0.1:{server.server_port}"
    yield answers
    server.shutdown()
    thread.join()
    server.server_close()


def _at(url: str) -> Observed:
    return replace(
        RUNNING, stable=replace(STABLE, url=f"{url}/stable"), candidate=replace(CANDIDATE, url=f"{url}/candidate")
    )


def test_both_versions_and_what_they_get_are_printed() -> None:
    text = _printed(RUNNING)
    assert "canary: running, 10 % asked for" in text
    assert "90 %" in text
    assert "canary promote demo --namespace ns" in text


def test_a_share_that_nobody_tells_is_not_made_up() -> None:
    text = _printed(replace(RUNNING, candidate=replace(CANDIDATE, percent=None, ready=False, why="no pods")))
    assert "not known" in text
    assert "not ready: no pods" in text


def test_what_a_cluster_says_does_not_steer_the_terminal() -> None:
    text = _printed(replace(RUNNING, notes=("\x1b[2J[bold]x",), differences=("a: 1 -> \x1b]0;x",)))
    assert "\x1b" not in text
    assert "[bold]x" in text


@pytest.mark.parametrize("phase", [each for each in Phase if each is not Phase.NONE])
def test_each_phase_has_a_way_on(phase: Phase) -> None:
    assert next_commands(replace(RUNNING, phase=phase))[0].startswith("next: kserve-vision canary")


def test_where_the_candidate_serves_alone_no_abort_is_proposed() -> None:
    edited = replace(RUNNING, phase=Phase.EDITED, candidate=None, has_its_place=True)
    (line,) = next_commands(edited)
    assert "promote demo --namespace ns --despite-edits" in line


def test_json_has_what_is_observed() -> None:
    said = json.loads(json.dumps(to_json(RUNNING)))
    assert (said["phase"], said["stable"]["percent"], said["candidate"]["uri"]) == ("running", 90, "s3://m/2")


def test_servers_that_agree_are_said_to(servers: dict[str, Any]) -> None:
    servers |= {"stable": _info("d", 2, 224), "candidate": _info("d", 2, 224)}
    assert told_by_servers(_at(servers["url"]), http_client) == ["the contracts of both versions agree"]


def test_servers_that_differ_are_compared(servers: dict[str, Any]) -> None:
    servers |= {"stable": _info("d", 2, 224), "candidate": _info("e", 3, 320)}
    told = told_by_servers(_at(servers["url"]), http_client)
    assert told[1:] == ["  labels: 2 -> 3", "  input.height: 224 -> 320"]


@pytest.mark.parametrize("answer", [None, [], {}, {"contract": 1}, {"contract": {}, "labels": "x", "model": {}}])
def test_a_server_that_is_not_ours_is_no_failure(servers: dict[str, Any], answer: Any) -> None:
    servers |= {"stable": answer, "candidate": _info("e", 3, 320)}
    (line,) = told_by_servers(_at(servers["url"]), http_client)
    assert "the contracts were not compared" in line
    assert "--stable-dir" in line


def test_a_server_that_cannot_be_reached_is_no_failure() -> None:
    (line,) = told_by_servers(_at("http://127.0.0.1:9"), lambda: httpx.Client(timeout=1))
    assert "does not answer from here" in line


def test_a_version_without_an_address_is_no_failure() -> None:
    (line,) = told_by_servers(RUNNING, http_client)
    assert "no address of its own" in line
