"""`kserve-vision serve` as a person starts it: a process with a terminal's signals, where it does not end by itself."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.photos import photo_bytes

FREE_PORTS = ["--http-port=0", "--grpc-port=0", "--predictor-http-port=0", "--predictor-grpc-port=0"]
TIMEOUT_S = 60


class Serving:
    """A running `kserve-vision serve`, and what it has printed."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "MAX_BATCH_SIZE": "1"},
        )
        self.printed = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._news = threading.Condition()
        self._reader.start()

    def wait_for(self, pattern: str) -> str:
        """Wait until `pattern` is printed, and return its first group."""
        with self._news:
            found = self._news.wait_for(
                lambda: re.search(pattern, self.printed) or not self._reader.is_alive(), TIMEOUT_S
            )
        match = re.search(pattern, self.printed)
        assert found, f"{pattern!r} was not printed:\n{self.printed}"
        assert match, f"{pattern!r} was not printed:\n{self.printed}"
        return match.group(1) if match.groups() else match.group()

    def wait_url(self) -> str:
        return self.wait_for(r"curl -F file=@picture.jpg (http://[\d.:]+)/predict")

    def children(self) -> dict[str, psutil.Process]:
        """The servers by their names."""
        found = psutil.Process(self.process.pid).children()
        return {name: child for child in found for name in ("predictor", "transformer") if name in child.cmdline()}

    def wait_exit(self) -> int:
        code = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.printed += line
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


@contextmanager
def serving(*arguments: str | Path) -> Iterator[Serving]:
    running = Serving([str(argument) for argument in arguments])
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGINT)
        running.wait_exit()
        assert running.process.stderr is not None
        running.process.stderr.close()


@pytest.fixture
def refused() -> Iterator[Callable[..., str]]:
    """Serve what cannot be served, in this process, and return what is printed."""

    def serve(*arguments: str | Path) -> str:
        result = CliRunner().invoke(app, ["serve", *FREE_PORTS, *map(str, arguments)], env={"COLUMNS": "200"})
        assert result.exit_code == 1
        assert "Traceback" not in result.output
        return result.stderr

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield serve
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_invites_to_a_first_prediction_and_stops_on_ctrl_c(model_dir: Path) -> None:
    with serving(model_dir, *FREE_PORTS) as running:
        url = running.wait_url()
        answer = httpx.post(f"{url}/predict", files={"file": photo_bytes("coffee")}, timeout=TIMEOUT_S)
        assert answer.json()["predictions"][0]["label"] == "espresso"
        children = running.children()
        assert set(children) == {"predictor", "transformer"}

        running.process.send_signal(signal.SIGINT)

        assert running.wait_exit() == 0
        assert not any(child.is_running() for child in children.values())
    assert "Traceback" not in running.printed
    assert re.search(r"transformer +OK +http +efficientnet-lite0 +[\d.]+ ms", running.printed)


@pytest.mark.parametrize(("killed", "left"), [("predictor", "transformer"), ("transformer", "predictor")])
def test_when_a_server_dies_the_other_is_stopped_and_the_exit_code_says_so(
    model_dir: Path, killed: str, left: str
) -> None:
    with serving(model_dir, *FREE_PORTS) as running:
        running.wait_url()
        children = running.children()

        children[killed].kill()

        assert running.wait_exit() == signal.SIGKILL
        assert not children[left].is_running()
    assert f"the {killed} was killed (SIGKILL)" in running.printed


def test_a_port_that_is_taken_is_said_in_one_line(model_dir: Path, refused: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        printed = refused(model_dir, f"--http-port={taken.getsockname()[1]}")
    assert "transformer: REST cannot listen on 127.0.0.1" in printed


def test_a_contract_with_a_typo_ends_it_with_the_sentence_that_helps(
    model_dir: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(model_dir, broken)
    contract = broken / "model.yaml"
    contract.write_text(contract.read_text().replace("  color: rgb", "  colour: rgb"))
    assert "input.colour is not a key of the contract: did you mean color?" in refused(broken)


def test_a_model_that_nobody_knows_is_refused_with_the_names_that_are_known(refused: Callable[..., str]) -> None:
    assert "efficientnet-lite0" in refused("efficientnet-lite1")


def test_several_models_are_served_side_by_side_and_a_broken_one_is_told(model_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.yaml").write_text("task: classification\n")
    picture = {"file": photo_bytes("coffee")}
    with serving(model_dir, tmp_path / "broken", *FREE_PORTS) as running:
        url = running.wait_url()
        assert httpx.post(f"{url}/predict", files=picture, timeout=TIMEOUT_S).json()["model"]["name"] == model_dir.name
        assert httpx.get(f"{url}/v2/models/broken/ready", timeout=TIMEOUT_S).status_code == 503
    assert "broken is not served: CONTRACT_INVALID" in running.printed
    assert "Traceback" not in running.printed
