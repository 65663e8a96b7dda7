"""A command's way to its end: the cluster, what would be written, the question, the steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from cli.canary.report import print_changes
from cli.findings import printable
from rollout import Objects, Stalled, Step, Traffic, Wait, drive

STAYS: Final = "stopped waiting: what was written stays, and the same command goes on from there"
"""What is said after Ctrl-C."""
SPLIT_S: Final = 120.0
"""Seconds that KServe and whoever routes have to notice a write."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command goes about writing."""

    dry_run: bool
    yes: bool
    timeout_s: float
    """For pods to come up."""

    @property
    def limits(self) -> Mapping[Wait, float]:
        """Seconds for each thing that is waited for."""
        return {Wait.CANDIDATE: self.timeout_s, Wait.STABLE: self.timeout_s} | dict.fromkeys(
            (Wait.SPLIT, Wait.ROUTE), min(SPLIT_S, self.timeout_s)
        )


def go(traffic: Traffic, decide: Callable[[], Step], manner: Manner, err: Console) -> bool:
    """Show what would be written, ask, and take the steps; False where that was a dry run.

    Raises:
        typer.Exit: the answer was no.
        RolloutError: it cannot be done, or did not come to its end.
    """
    first = decide()
    writes = first.write is not None or bool(first.then)
    if writes:
        for line in (first.says, *first.then):
            err.print(printable(f"  {line}"), soft_wrap=True)
        print_changes(first.changes, err)
    if manner.dry_run:
        err.print("nothing was written: --dry-run" if writes else printable(first.says), soft_wrap=True)
        return False
    if writes and not manner.yes:
        _ask(err)
    take_all(traffic, decide, manner, err, agreed=writes or manner.yes)
    return True


def take_all(
    traffic: Traffic, decide: Callable[[], Step], manner: Manner, err: Console, *, agreed: bool = True
) -> Step:
    """Take the steps to the last, telling each; where nobody `agreed` to a write yet, the first is asked for.

    Raises:
        typer.Exit: the answer was no.
        RolloutError: it did not come to its end.
    """
    begun = time.monotonic()

    def tell(step: Step) -> None:
        nonlocal agreed
        err.print(printable(f"{time.monotonic() - begun:4.0f} s  {step.says}"), soft_wrap=True)
        if step.write is not None and not agreed:
            print_changes(step.changes, err)
            _ask(err)
            agreed = True

    try:
        return drive(traffic, decide, limits=manner.limits, tell=tell, clock=time.monotonic, sleep=time.sleep)
    except Stalled as stalled:
        message = (
            f"{stalled}. What was written stays: the same command goes on from there, and canary status says what else "
            "can be done"
        )
        raise Stalled(message, stalled.waits) from stalled


def connect_objects(kubeconfig: Path | None, context: str | None, namespace: str | None) -> tuple[Objects, str]:
    """Open the cluster that is meant; return its objects, and the namespace.

    Raises:
        NoCluster: there is none.
    """
    from rollout.kubeconfig import Target, connect  # noqa: PLC0415  # the cluster's client takes half a second

    connection = connect(Target(kubeconfig, context, namespace))
    return connection, connection.namespace


def _ask(err: Console) -> None:
    """Go on only with a yes.

    Raises:
        typer.Exit: the answer was no.
    """
    if not _confirmed():
        err.print("nothing was written", soft_wrap=True)
        raise typer.Exit(1)


def _confirmed() -> bool:
    """Ask, where there is somebody to ask."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return typer.confirm("Write that?", err=True)
