"""`python -m load`: plans in, replies out, one JSON object a line."""

from __future__ import annotations

import asyncio
import signal
import sys
from types import FrameType

import uvloop
from pydantic import ValidationError

from load.answer import Refused
from load.measure import measure
from load.measured import Measured, Reply
from load.plan import Plan
from load.process import ProcessGone
from load.tally import Tally


class Interruption:
    """SIGINT, which ends a plan early. While none is followed it is kept for the next, which may be on its way."""

    def __init__(self) -> None:
        self._is_kept = False

    def keep(self) -> None:
        """Keep it from now on."""
        signal.signal(signal.SIGINT, self._keep)

    def hand_to(self, event: asyncio.Event) -> None:
        """Set an event at it from now on, and at once if it was kept."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, event.set)
        if self._is_kept:
            self._is_kept = False
            event.set()

    def _keep(self, _number: int, _frame: FrameType | None) -> None:
        self._is_kept = True


async def follow(plan: Plan, interruption: Interruption) -> Measured:
    """Follow a plan; an interruption ends it early, with what was measured until then."""
    tally = Tally()
    interruption.hand_to(tally.interrupted)
    try:
        return await measure(plan, tally)
    finally:
        interruption.keep()


def reply_to(line: str, runner: asyncio.Runner, interruption: Interruption) -> Reply:
    """Follow the plan in a line."""
    try:
        return Reply(measured=runner.run(follow(Plan.model_validate_json(line), interruption)))
    except (Refused, ProcessGone, OSError, ValidationError) as error:
        return Reply(error=str(error))


def main() -> None:
    """Follow the plans on standard input until it ends."""
    interruption = Interruption()
    interruption.keep()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # `Child` holds it back until here
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            sys.stdout.write(reply_to(line, runner, interruption).model_dump_json() + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
