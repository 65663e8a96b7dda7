"""Calls that go by the clock of virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import pytest

from tests.virtual_time import Clock, VirtualLoop, run_virtually

T = TypeVar("T")

START_S: Final = 1000.0


def in_virtual_time(main: Callable[[Clock], Awaitable[T]]) -> T:
    """Run `main` to its end, with a clock that calls go by too; nothing must be left to do behind it."""
    clock = Clock(START_S)
    complaints: list[dict[str, Any]] = []

    async def all_of_it(loop: VirtualLoop) -> T:
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        result = await main(clock)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.call.time", SimpleNamespace(monotonic=clock, perf_counter=clock))
        result = run_virtually(all_of_it, clock)
    assert not complaints, complaints
    return result
