"""Processes that measure, kept between measurements so that each begins warm: one JSON object a line, both ways."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from load.measured import Measured, Reply


class ChildFailed(RuntimeError):
    """A plan could not be followed, or the measuring process ended; what that said is on standard error."""


class Child:
    """`python -m MODULE`, which waits for plans, in a session of its own, so that Ctrl-C reaches only the parent."""

    def __init__(self, module: str = "load", arguments: Sequence[str] = ()) -> None:
        self._module = module
        # It inherits that SIGINT waits, until it is ready for one.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process = subprocess.Popen(  # noqa: S603  # a module of ours, with arguments of ours
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def ask(self, plan: BaseModel) -> Measured:
        """Have a plan followed, and wait for what was measured.

        Raises:
            ChildFailed: the plan could not be followed.
        """
        assert self._process.stdin is not None  # noqa: S101  # it is a pipe
        try:
            self._process.stdin.write(plan.model_dump_json() + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ChildFailed(f"{self._module} has ended") from error
        reply = Reply.model_validate_json(self._read())
        if reply.measured is None:
            raise ChildFailed(reply.error)
        return reply.measured

    def interrupt(self) -> None:
        """End a load generator's measurement before its time: `ask` returns what was measured by then. Where it follows
        no plan, it ends the next one.
        """
        self._process.send_signal(signal.SIGINT)

    def _read(self) -> str:
        assert self._process.stdout is not None  # noqa: S101  # it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self._module} ended with exit code {self._process.wait()}")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._process.terminate()
        self._process.communicate()
