"""What is waited for, on one line: rewritten on a terminal, and a line for each change where the output is a pipe."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from cli.findings import printable


class Progress:
    """A line that says why one waits."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        """Write to `console`; `clock` gives seconds."""
        self._console = console
        self._clock = clock
        self._begun = clock()
        self._last = ""
        self._line = console.status("") if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._line is not None:
            self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.stop()

    def say(self, text: str) -> None:
        """Tell what is waited for now."""
        elapsed = self._clock() - self._begun
        line = f"{elapsed:4.0f} s  {printable(text)}"
        if self._line is not None:
            # As text: what a cluster says may look like rich's markup, `open [/mnt/models]`.
            self._line.update(Text(line))
        elif text != self._last:
            self._console.print(line, soft_wrap=True)
        self._last = text
