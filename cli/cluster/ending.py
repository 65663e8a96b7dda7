"""Where commands on a cluster print, and how they end where they cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer
from rich.console import Console

from cli.cluster.faults import ClusterFault
from cli.cluster.model import NoModel
from cli.cluster.naming import BadName
from cli.cluster.storage import BadAddress
from cli.findings import printable
from cli.reading import PictureTooLarge
from rollout import RolloutError
from serving.errors import ServingError

INTERRUPTED: Final = 130
"""The exit code of who was ended by Ctrl-C."""
WIDE: Final = 10_000
"""Columns of a table that goes into a pipe."""


def console(*, to_err: bool = False) -> Console:
    """A console without colours where nobody sees them; into a pipe, nothing is cut to a terminal's width."""
    terminal = Console(stderr=to_err, highlight=False, markup=False)
    return terminal if terminal.is_terminal else Console(stderr=to_err, highlight=False, markup=False, width=WIDE)


@contextmanager
def sentences(err: Console, interrupted: str = "") -> Iterator[None]:
    """Print what cannot be done as a sentence, and end with exit code 1; after Ctrl-C say `interrupted`."""
    try:
        yield
    except (ClusterFault, RolloutError, BadName, BadAddress, NoModel, ServingError, PictureTooLarge, OSError) as error:
        err.print(printable(str(error)), style="bold red", soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        if interrupted:
            err.print(interrupted, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
