"""Lanes as the batcher runs them: an engine's lane, each on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from predictor.batching.request import Batch
from predictor.batching.run import Ran, run_batch
from predictor.batching.sizes import RunSize
from predictor.engines import Lane
from serving.threads import Threads


class LaneThread:
    """A thread that runs batches on one lane, one after the other."""

    def __init__(self, name: str, lane: Lane, run_size: RunSize) -> None:
        self._lane = lane
        self._run_size = run_size
        self._thread = Threads(name, 1)

    def start(self, batch: Batch, done: Callable[[Ran | None, Exception | None], None]) -> None:
        """Run a batch, and call `done` on the event loop."""
        self._thread.start(partial(run_batch, self._lane, self._run_size, batch), done)

    async def close(self, patience_s: float) -> None:
        """Wait for the last run, and end the thread; one that hangs is left behind."""
        await self._thread.close(patience_s)
