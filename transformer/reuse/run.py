"""Work that belongs to all who wait for it, not to the request that began it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Final

from serving.call import Call
from serving.errors import ClientError, DeadlineExceeded, Overloaded
from transformer.reuse.seen import Seen

Look = Callable[[Sequence[bytes], Call], Awaitable[list[Seen]]]
"""Asks the model of pictures. An error about one of them has its place among them as `index` in its details."""

INDEX: Final = "index"
MISFORTUNES: Final = (DeadlineExceeded, Overloaded)
"""What befalls a request, and says nothing of its picture or of the predictor."""


@dataclass(eq=False, slots=True)
class Run:
    """Pictures, by their contents, that the model is being asked of, and how many requests wait for that."""

    contents: tuple[bytes, ...]
    call: Call
    """The work's own: it is the first request's, with the latest deadline of all who wait."""
    waiting: int = 1
    task: asyncio.Task[dict[bytes, Seen]] = field(init=False)

    def join(self, call: Call) -> None:
        """Wait for it too, and give it as much time as that request has."""
        self.waiting += 1
        if self.call.deadline is not None:
            self.call.deadline = None if call.deadline is None else max(self.call.deadline, call.deadline)

    def leave(self) -> bool:
        """Wait no longer; return whether that was the last one, and ended it."""
        self.waiting -= 1
        return not self.waiting and self.task.cancel()

    def fails(self, error: BaseException, wanted: Container[bytes]) -> bool:
        """Whether its error is also that of a request which only waits, for pictures that are `wanted`."""
        if isinstance(error, MISFORTUNES):
            return False
        faulty = self.faulty(error)
        return len(self.contents) == 1 if faulty is None else faulty in wanted

    def faulty(self, error: BaseException) -> bytes | None:
        """Return the picture that an error is about, if it is about one."""
        index = error.details.get(INDEX) if isinstance(error, ClientError) else None
        return self.contents[index] if isinstance(index, int) else None
