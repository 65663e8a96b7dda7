"""A server's command line: settings, logs, serve, exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, TypeVar

import uvloop

from serving.log import configure_logging
from serving.server.rest import PortTaken
from serving.settings import ServerSettings, SettingsError

USAGE: Final = 2
FAILED: Final = 1

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
        sys.stderr.write(f"{program}: {error}\n")
        return USAGE
    configure_logging(settings.log_level, settings.log_format, program)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except PortTaken as error:
        sys.stderr.write(f"{program}: {error}\n")
        return FAILED
    return 0
