"""Virtual time: a real event loop whose time passes only where everybody waits for it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")


class Clock:
    """Seconds, which stand still unless somebody moves them."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that never waits: when nothing is ready, the time of the next timer has come."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        super().__init__(_Jump(self.clock))

    @property
    def now(self) -> float:
        return self.clock.now

    @override
    def time(self) -> float:
        return self.clock.now


class _Jump(selectors.DefaultSelector):
    """Waits by moving the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    @override
    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits, and no timer is set: somebody was forgotten"
        self._clock.now += max(timeout, 0.0)
        return super().select(0)


def run_virtually(scenario: Callable[[VirtualLoop], Coroutine[Any, Any, T]], clock: Clock | None = None) -> T:
    """Run a scenario to its end, in no time."""
    loop = VirtualLoop(clock)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(scenario(loop))
