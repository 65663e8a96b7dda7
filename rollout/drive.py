"""Steps taken one after the other until the last: for a person who waits. An operator takes one at a time instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rollout.errors import AlreadyThere, Conflict, Stalled, Unreachable
from rollout.step import Step, Wait
from rollout.traffic import Traffic

POLL_S: Final = 1.0
TRIES: Final = 8
"""How often in a row a step is decided anew because somebody else wrote first, or the API server did not answer. KServe
itself writes an InferenceService's status many times while things change."""


def drive(  # noqa: PLR0913  # time is passed in
    traffic: Traffic,
    decide: Callable[[], Step],
    *,
    limits: Mapping[Wait, float],
    tell: Callable[[Step], None],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Step:
    """Take the steps that `decide` says, and return the last.

    Each is decided anew from what is read, so that a conflict is tried again only where what is there then still
    allows it. `limits` are the seconds that are waited for something; `tell` hears each step once.

    Raises:
        Stalled: what was awaited did not come in time; the steps so far stay, and the same command goes on.
        RolloutError: a step cannot be taken.
    """
    since: dict[Wait, float] = {}
    told, refused = "", 0
    while True:
        try:
            step = decide()
            if step.says != told:
                tell(step)
                told = step.says
            traffic.take(step)
        except (AlreadyThere, Conflict, Unreachable):
            refused += 1
            if refused >= TRIES:
                raise
            sleep(POLL_S)
            continue
        refused = 0
        if step.is_last or step.ends:
            return step
        if step.waits is None:
            since.clear()
            continue
        began = since.setdefault(step.waits, clock())
        if clock() - began >= limits[step.waits]:
            raise Stalled(f"waited {limits[step.waits]:g} s for {step.waits}: {step.says}", step.waits)
        sleep(POLL_S)
