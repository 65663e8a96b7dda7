"""A page of the docs as a reader follows it: its commands run, and what it shows is held against what they print."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from cli.main import app

HOST: Final = "127.0.0.1"
_COMMAND: Final = re.compile(r"^(kserve-vision [\w ./=,-]+)$", re.MULTILINE)
"""A command of ours that needs no shell."""
_READY: Final = re.compile(r"^transformer +REST (\S+) +gRPC (\S+)$", re.MULTILINE)
_NUMBER: Final = r"-?\d+\.\d+(?:e-?\d+)?"
_FREE_PORTS: Final = "--http-port 0 --grpc-port 0 --predictor-http-port 0 --predictor-grpc-port 0"
_PATIENCE_S: Final = 120


@dataclass(frozen=True)
class Block:
    """What stands between two fences. `language` is empty where none is named."""

    language: str
    text: str


def sections(page: Path) -> dict[str, list[Block]]:
    """The blocks of each section, by its heading."""
    found: dict[str, list[Block]] = {}
    for part in re.split(r"^## ", page.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", body, re.DOTALL | re.MULTILINE)
        found[heading] = [Block(language, text) for language, text in blocks]
    return found


class Reader:
    """Someone who types what a page says, in a folder. One server runs at a time, until the next one, or `stop`."""

    def __init__(self, folder: Path) -> None:
        self.printed = ""
        """By all commands since it was emptied."""
        self.codes: list[int] = []
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self._doors = {f"{HOST}:8080": "", f"{HOST}:8081": ""}
        beside = Path(sys.executable).parent
        # Wide, so that no cell of a table is broken; small batches, so that they are warmed soon.
        self._settings = {"COLUMNS": "250", "MAX_BATCH_SIZE": "2"}
        path = f"{beside}{os.pathsep}{os.environ['PATH']}"
        self._environment = os.environ | self._settings | {"PATH": path}

    def run(self, block: Block) -> None:
        """Run a block of commands, or of Python.

        Our own commands run in this process, which has imported them already; servers, and what needs a shell, do not.
        """
        if block.language == "python":
            self._call([sys.executable, "-W", "ignore", "-c", self._here(block.text)])
            return
        for commands in filter(str.strip, _COMMAND.split(block.text)):
            if not _COMMAND.fullmatch(commands):
                self._call(["/bin/bash", "-e", "-c", self._here(commands)])
            elif commands.startswith("kserve-vision serve "):
                self._serve(commands)
            else:
                self._invoke(commands)

    def stop(self) -> None:
        """Stop the server, as Ctrl-C does.

        Raises:
            AssertionError: it did not end well.
        """
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal.SIGINT)
        try:
            assert server.wait(_PATIENCE_S) == 0
        finally:
            server.kill()

    def _here(self, text: str) -> str:
        for address, door in self._doors.items():
            text = text.replace(address, door or address)
        return text

    def _invoke(self, command: str) -> None:
        with contextlib.chdir(self._folder):
            done = CliRunner().invoke(app, shlex.split(command)[1:], env=self._settings)
        self.printed += done.stdout
        self.codes.append(done.exit_code)
        if done.exit_code:
            self.printed += done.stderr

    def _call(self, command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False,
            timeout=_PATIENCE_S,
        )  # fmt: skip
        self.printed += done.stdout
        self.codes.append(done.returncode)
        if done.returncode:
            self.printed += done.stderr

    def _serve(self, command: str) -> None:
        self.stop()
        log = self._folder / "serve.log"
        with log.open("wb") as said:
            self._server = subprocess.Popen(
                shlex.split(f"{command} {_FREE_PORTS}"), cwd=self._folder, env=self._environment, stderr=said
            )
        end = time.monotonic() + _PATIENCE_S
        while not (ready := _READY.search(log.read_text("utf-8"))):
            assert self._server.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < end, log.read_text("utf-8")
            time.sleep(0.05)
        self._doors = dict(zip(self._doors, ready.groups(), strict=True))


def missing(shown: Block, printed: str) -> Iterator[str]:
    """Tell what a page shows and was not printed. `...` stands for anything, and numbers may differ by a hundredth."""
    if shown.language == "json":
        if not _occurs(re.sub(r"\s", "", shown.text), re.sub(r"\s", "", printed)):
            yield shown.text
        return
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for line in shown.text.splitlines():
        wanted = " ".join(line.split())
        if not any(_occurs(wanted, each) for each in lines):
            yield line


def _occurs(wanted: str, printed: str) -> bool:
    pattern = re.escape(wanted).replace(re.escape("..."), ".*?")
    numbers = re.findall(_NUMBER, wanted)
    for number in numbers:
        pattern = pattern.replace(re.escape(number), f"({_NUMBER})", 1)
    return any(
        all(_alike(float(one), float(other)) for one, other in zip(numbers, found.groups(), strict=True))
        for found in re.finditer(pattern, printed)
    )


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= 0.01 * max(1.0, abs(other))
