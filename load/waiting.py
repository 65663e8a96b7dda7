"""Waiting that ends early."""

from __future__ import annotations

import asyncio


async def wait_any(seconds: float | None, *events: asyncio.Event) -> None:
    """Wait until one of the events is set, or `seconds` are over; None waits as long as it takes."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
