"""What is noted down of requests while a window is open; one event loop owns it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from load.answer import Answer


@dataclass
class Punctuality:
    """How the sending of an open loop went; only requests that belong to the window are in it."""

    due: int = 0
    late_ms: list[float] = field(default_factory=list)
    """By how much, of each that was sent later than the tick of a timer."""
    crowded: int = 0
    """How many waited because as many as may were outstanding."""
    unsent: int = 0
    """How many were never sent, because the window closed while they waited."""


@dataclass
class Tally:
    """The notes of one measurement."""

    clock: Callable[[], float] = time.perf_counter
    """Tells the time, in seconds."""
    is_open: bool = False
    """Whether the window is."""
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set where the measurement is to end early: what was noted by then is reported."""
    ok_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    said: dict[str, str] = field(default_factory=dict)
    """What the first of each kind that is not OK said."""
    answered_in_window: int = 0
    """Answers that were OK and ended while the window was open."""
    retry_after: int = 0
    punctuality: Punctuality = field(default_factory=Punctuality)
    sent_bytes: int = 0
    answer_bytes: int = 0

    @property
    def noted(self) -> int:
        """How many requests were noted."""
        return len(self.ok_ms) + len(self.refused_ms)

    def note(self, answer: Answer, seconds: float, sent: int) -> None:
        """Note a request that belongs to the window: its answer, how long that took, and the bytes it sent."""
        self.kinds[answer.kind] += 1
        if answer.is_ok:
            self.ok_ms.append(1000 * seconds)
            self.sent_bytes += sent
            self.answer_bytes += answer.length
            return
        self.refused_ms.append(1000 * seconds)
        self.said.setdefault(answer.kind, answer.said)
        self.retry_after += answer.retry_after_s is not None

    def note_end(self, answer: Answer) -> None:
        """Note that a request ended, whether or not it belongs to the window."""
        self.answered_in_window += answer.is_ok and self.is_open
