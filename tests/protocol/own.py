"""How this repository's own servers are started for the suite."""

from __future__ import annotations

from contextlib import AbstractContextManager

from .target import Target


def start(name: str) -> AbstractContextManager[Target]:
    """Run our own ``predictor`` or ``transformer`` until the block ends.

    Raises:
        NotImplementedError: until the launching is written.
    """
    raise NotImplementedError(f"tests/protocol/own.py does not start {name!r} yet; give --oip-rest URL of a server")
