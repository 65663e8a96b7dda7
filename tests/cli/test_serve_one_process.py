"""`kserve-vision serve --one-process`, as a person starts it."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from cli.invitation import invitation
from cli.main import app
from cli.processes import Asked, Ports
from tests.photos import photo_bytes

from .test_serve import TIMEOUT_S, serving

ONE = ["--one-process", "--http-port=0", "--grpc-port=0"]


@pytest.fixture
def signals_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_invites_to_a_first_prediction_runs_one_process_and_stops_on_ctrl_c(model_dir: Path) -> None:
    with serving(model_dir, *ONE) as running:
        url = running.wait_url()
        running.wait_for("Ctrl-C stops it")
        answer = httpx.post(f"{url}/predict", files={"file": photo_bytes("coffee")}, timeout=TIMEOUT_S)
        assert answer.json()["predictions"][0]["label"] == "espresso"
        (child,) = psutil.Process(running.process.pid).children()
        assert "edge" in child.cmdline()

        running.process.send_signal(signal.SIGINT)

        assert running.wait_exit() == 0
        assert not child.is_running()
    assert "Traceback" not in running.printed
    assert re.search(r"edge +OK +http +efficientnet-lite0 +[\d.]+ ms", running.printed)


def test_when_it_dies_the_exit_code_says_so(model_dir: Path) -> None:
    with serving(model_dir, *ONE) as running:
        running.wait_url()
        (child,) = psutil.Process(running.process.pid).children()

        child.kill()

        assert running.wait_exit() == signal.SIGKILL
    assert "the edge was killed (SIGKILL)" in running.printed


@pytest.mark.usefixtures("signals_as_they_were")
def test_a_port_that_is_taken_is_said_in_one_line_with_the_flag_that_helps(model_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["serve", str(model_dir), "--one-process", f"--http-port={port}", "--grpc-port=0"]
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "edge: REST cannot listen on 127.0.0.1" in result.stderr
    assert "--http-port and --grpc-port choose" in result.stderr
    assert "Traceback" not in result.output


def test_the_invitation_names_one_server() -> None:
    text = invitation("127.0.0.1", [Asked("cats", "", is_default=True)], [Path("/models/cats")], Ports(1, 2), None)
    assert "one process  REST 127.0.0.1:1  gRPC 127.0.0.1:2\n" in text
    assert "predictor " not in text
    assert text.endswith("Ctrl-C stops it.\n")
