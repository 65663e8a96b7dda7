"""Requests that ask of the same picture: who works, who waits, and what they are told.

A run is a task of its own, which ends when the last who waits for it has gone. Each of its steps, decoding and asking
the predictor, has the latest of the deadlines of those who wait when it begins; one who comes later cannot give it more
time, and then the next rule helps. Nobody inherits what is another's: where a run fails,

- the request that began it gets its error,
- so do those who wait for a picture that is itself at fault, or that was alone in the run,
- all others ask again, together, as one of them does for all. They are those who followed a request that ran out of
  time, was refused by a full queue, or held another picture that is at fault.

With each round one request at least is answered, so that nobody goes round for ever. The option that was rejected, one
error for all, lets a caller with a deadline of a millisecond, or one broken picture in a batch, fail strangers.

No run waits for another: two requests with two pictures in opposite order do not wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from serving.call import Call
from serving.errors import DeadlineExceeded, ServingError
from transformer.reuse.run import INDEX, Look, Run
from transformer.reuse.seen import Seen

Found = dict[bytes, Seen]


class Runs:
    """The runs of one version of a model, by the pictures in them; `keep` is given what each has found."""

    def __init__(self, keep: Callable[[Found], None]) -> None:
        self._keep = keep
        self._runs: dict[bytes, Run] = {}

    def find(self, content: bytes) -> Run | None:
        """Return the run that a picture is in now, whoever began it."""
        run = self._runs.get(content)
        return None if run is None or run.task.done() else run

    def begin(self, pictures: Mapping[bytes, bytes], call: Call, look: Look) -> Run:
        """Begin a run of pictures that are in none, for one who waits for it."""
        run = Run(tuple(pictures), replace(call))
        run.task = asyncio.create_task(self._do(run, tuple(pictures.values()), look))
        run.task.add_done_callback(_fetch)
        self._runs.update(dict.fromkeys(pictures, run))
        return run

    def leave(self, run: Run) -> None:
        """Wait for a run no longer; one that has nobody left ends, and nobody joins it."""
        if run.leave():
            self._end(run)

    async def _do(self, run: Run, pictures: Sequence[bytes], look: Look) -> Found:
        try:
            found = dict(zip(run.contents, await look(pictures, run.call), strict=True))
        finally:
            self._end(run)
            # An error holds this frame, and the run the task that holds the error: a circle that would keep the
            # pictures until the collector comes by.
            del run, pictures
        self._keep(found)
        return found

    def _end(self, run: Run) -> None:
        for content in run.contents:
            if self._runs.get(content) is run:
                del self._runs[content]


@dataclass(slots=True)
class Search:
    """One request's way to what the model says of its pictures."""

    runs: Runs
    contents: Sequence[bytes]
    """Of each picture, in their order."""
    pictures: Mapping[bytes, bytes]
    """By their contents."""
    found: Found
    call: Call
    look: Look
    asked: set[bytes] = field(default_factory=set)
    """The pictures that it has begun runs for."""
    joined: dict[Run, bool] = field(default_factory=dict)
    """The runs that it waits for, and whether it has begun them."""

    async def finish(self) -> None:
        """Find all that is not found yet.

        Raises:
            DeadlineExceeded: the call's time was over.
            ServingError: of its own run, or one that it has to share.
        """
        try:
            while missing := [content for content in self.pictures if content not in self.found]:
                self._join(missing)
                await self._wait()
                for run in [run for run in self.joined if run.task.done()]:
                    self._take(run, is_own=self.joined.pop(run))
        finally:
            for run in self.joined:
                self.runs.leave(run)
            self.joined = {}

    def _join(self, missing: Sequence[bytes]) -> None:
        """Wait for all runs that the missing are in, and begin one for those that are in none."""
        alone = {content: self.pictures[content] for content in missing if self.runs.find(content) is None}
        if alone:
            self.joined[self.runs.begin(alone, self.call, self.look)] = True
            self.asked.update(alone)
        for content in missing:
            run = self.runs.find(content)
            if run is not None and run not in self.joined:
                run.join(self.call)
                self.joined[run] = False

    async def _wait(self) -> None:
        """Wait until a run has ended."""
        waits = nullcontext() if any(self.joined.values()) else self.call.stage("collapsed")
        with waits:
            tasks = [run.task for run in self.joined]
            done, _ = await asyncio.wait(tasks, timeout=self.call.remaining_s(), return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise DeadlineExceeded("the answer did not come in the time that was given")

    def _take(self, run: Run, *, is_own: bool) -> None:
        """Take what a run has found; or raise its error, where that is this request's too."""
        if run.task.cancelled():
            return
        error = run.task.exception()
        if error is None:
            self.found |= {content: seen for content, seen in run.task.result().items() if content in self.pictures}
        elif is_own or run.fails(error, self.pictures):
            if isinstance(error, ServingError):
                raise self._told(run, error) from error
            raise error

    def _told(self, run: Run, error: ServingError) -> ServingError:
        """Return an error for this request alone, which may change it: the place of a picture is another in each."""
        own = copy(error)
        own.details = dict(error.details)
        faulty = run.faulty(error)
        if faulty is not None:
            own.details[INDEX] = self.contents.index(faulty)
        return own


def _fetch(task: asyncio.Task[Any]) -> None:
    """Look at what became of a task, should nobody else: asyncio would complain of it later."""
    if not task.cancelled():
        task.exception()
