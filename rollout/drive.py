"""Steps taken one after the other until the last: for a person who waits. An operator takes one at a time instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from rollout.errors import AlreadyThere, Conflict, NoCanary, Stalled, TakenBack, Unreachable
from rollout.step import Step, Wait
from rollout.traffic import Traffic

POLL_S: Final = 1.0
TRIES: Final = 8
"""How often in a row a step is decided anew because somebody else wrote first, or the API server did not answer. KServe
itself writes an InferenceService's status many times while things change."""
MAX_SAME: Final = 3
"""How often the same step is written, where somebody undoes it."""


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
        TakenBack: somebody undoes what is written.
        RolloutError: a step cannot be taken.
    """
    since: dict[Wait, float] = {}
    written: Counter[str] = Counter()
    told, refused = "", 0
    ending: Step | None = None
    while True:
        try:
            step = decide()
            _expect_kept(step, written)
            if step.says != told:
                tell(step)
                told = step.says
            ending = step if step.ends else None
            traffic.take(step)
        except NoCanary:
            if ending is None:
                raise
            return ending  # it was written, and the answer got lost
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
            _count(step, written, sleep)
            continue
        began = since.setdefault(step.waits, clock())
        if clock() - began >= limits[step.waits]:
            raise Stalled(f"waited {limits[step.waits]:g} s for {step.waits}: {step.says}", step.waits)
        sleep(POLL_S)


def _count(step: Step, written: Counter[str], sleep: Callable[[float], None]) -> None:
    """Remember a write, and rest after one that was made before."""
    written[step.says] += 1
    if written[step.says] > 1:
        sleep(POLL_S)


def _expect_kept(step: Step, written: Counter[str]) -> None:
    """Give up a write that was made again and again.

    Raises:
        TakenBack: it was.
    """
    if step.write is not None and written[step.says] >= MAX_SAME:
        raise TakenBack(
            f"this was written {MAX_SAME} times, and is taken back each time: {step.says}. Who else owns the spec? A "
            "tool that keeps it as it is in a repository has to be stopped, or to leave it alone, while a canary runs"
        )
