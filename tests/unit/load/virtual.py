"""A server that answers by a script, as long after the question as that says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from load.answer import Answer
from load.plan import Closed, Open, Plan, Server
from load.sending import Sender
from load.tally import Tally

OK = Answer(is_ok=True, kind="200", length=2)


@dataclass
class Scripted:
    """A server that takes as long for each request, and answers so, as its script says by the time it came."""

    script: Callable[[float], tuple[float, Answer]]
    came: list[float] = field(default_factory=list)
    connections: int = 0

    def connect(self) -> Scripted:
        self.connections += 1
        return self

    async def exchange(self, request: bytes) -> Answer:  # noqa: ARG002  # the seam's signature
        now = asyncio.get_running_loop().time()
        self.came.append(now)
        seconds, answer = self.script(now)
        await asyncio.sleep(seconds)
        return answer

    async def close(self) -> None:
        pass


def plan_of(folder: Path, load: Closed | Open, **other: Any) -> Plan:
    """A plan of one small request; nothing is asked over a network."""
    request = folder / "request"
    request.write_bytes(b"request")
    defaults = {"server": Server(protocol="http", port=1), "requests": (request,), "seconds": 1.0, "refusals": "count"}
    return Plan.model_validate({**defaults, "load": load, **other})


def tally() -> Tally:
    """Notes that go by the running loop's clock."""
    return Tally(clock=asyncio.get_running_loop().time)


def sender(plan: Plan, server: Scripted) -> Sender:
    return Sender(plan, server)
