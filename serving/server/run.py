"""A server's command line: settings, logs, serve, exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import uvloop

from serving.log import configure_logging
from serving.server.life import Useless
from serving.server.rest import PortTaken
from serving.settings import ServerSettings, SettingsError

USAGE: Final = 2
FAILED: Final = 1

TERMINATION_LOG: Final = Path("/dev/termination-log")
"""Where Kubernetes mounts a file for a container's last words."""
TERMINATION_CHARACTERS: Final = 1000
"""Of the 4 KiB that are read of it."""

S = TypeVar("S", bound=ServerSettings)


def run_server(
    program: str,
    settings_type: type[S],
    serve: Callable[[S], Coroutine[None, None, None]],
    arguments: Sequence[str] | None,
) -> int:
    """Read the settings and serve; `arguments` are those of the process where none are given."""
    try:
        settings = settings_type.parse(sys.argv[1:] if arguments is None else arguments, program)
    except SettingsError as error:
        _leave(f"{program}: {error}")
        return USAGE
    configure_logging(settings.log_level, settings.log_format, program)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except (PortTaken, Useless) as error:
        _leave(f"{program}: {error}")
        return FAILED
    return 0


def _leave(last_words: str) -> None:
    """Say why the server ends: on standard error, and where Kubernetes looks for it."""
    sys.stderr.write(f"{last_words}\n")
    if TERMINATION_LOG.is_file():
        with suppress(OSError):  # the root may be read-only, and standard error has it
            TERMINATION_LOG.write_text(last_words[:TERMINATION_CHARACTERS])
