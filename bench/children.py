"""Processes that measure, kept between measurements so that each begins warm: one JSON object a line, both ways."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from bench.measured import Measured


class ChildFailed(RuntimeError):
    """A measuring process ended; what it said is on standard error."""


class Child:
    """`python -m MODULE`, which waits for plans."""

    def __init__(self, module: str, arguments: Sequence[str] = ()) -> None:
        self._module = module
        self._process = subprocess.Popen(  # noqa: S603  # a module of ours, with arguments of ours
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def ask(self, plan: BaseModel) -> Measured:
        """Have a plan followed, and wait for what was measured.

        Raises:
            ChildFailed: the process ended instead of answering.
        """
        assert self._process.stdin is not None  # noqa: S101  # both are pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(plan.model_dump_json() + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ChildFailed(f"{self._module} has ended") from error
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self._module} ended with exit code {self._process.wait()}")
        return Measured.model_validate_json(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate()
