"""Whose command line it is: the program's, not that of a library it imports."""

from __future__ import annotations

import subprocess
import sys

from tests.sdk.trap import Side, trap

IMPORTS = {"ours": "import serving.sdk", "plain": "import kserve"}


@trap("the SDK parses the command line when it is imported, and ends the process over it")
def test_an_import_does_not_end_the_process(side: Side) -> None:
    assert run(f"{IMPORTS[side]}; print('imported')", "--http_port=auto") == "imported"


@trap("the SDK takes --model_n, an abbreviation to it, for its own --model_name")
def test_an_import_takes_no_flag_for_its_own(side: Side) -> None:
    name = f"{IMPORTS[side]}; from kserve import model_server; print(model_server.args.model_name)"
    assert run(name, "--model_n=mine") == "model"


def run(program: str, argument: str) -> str:
    """Run a program with one argument, and return what it printed last."""
    ended = subprocess.run(  # programs of this module
        [sys.executable, "-c", program, argument], capture_output=True, text=True, check=False
    )
    return (ended.stdout.splitlines() or [""])[-1]
