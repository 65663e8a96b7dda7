"""A model that is asked of pictures in virtual time: one letter each, and what it says is that letter and a version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from prometheus_client import CollectorRegistry

from serving.call import Call
from serving.errors import DeadlineExceeded, ImageCorrupt, ServingError
from tests.virtual_time import Clock
from transformer.pictures import Geometry, Prepared
from transformer.reuse import INDEX, ReuseMetrics, Scope, Seen, SeenCache, Sharing

PREPARE_S = 0.010
INFER_S = 0.020
WORK_S = PREPARE_S + INFER_S
LINGER_S = 0.005
BROKEN = "x"
PICTURE = Prepared(np.zeros((4, 6, 3), np.uint8), Geometry(12, 8, 0.5, 0.5, 0, 0))

Failure = Callable[[], ServingError] | None


def said(letter: str, version: str = "1", nbytes: int = 8) -> Seen:
    """What the model says of a picture."""
    return Seen.of({"letter": np.full(nbytes, ord(letter), np.uint8)}, PICTURE, version)


def letter_of(seen: Seen) -> str:
    return chr(seen.tensors["letter"][0])


def call(request_id: str = "an-id", limit_s: float | None = None) -> Call:
    made = Call(request_id, "test")
    if limit_s is not None:
        made.limit(limit_s)
    return made


class Predictor:
    """What `Sharing` asks: it takes `PREPARE_S`, when `BROKEN` is found, and `INFER_S`, as far as the call has time.

    What is ended lingers for `LINGER_S`.
    """

    def __init__(self) -> None:
        self.version = 1
        self.sizes: dict[str, int] = {}
        self.failures: list[Failure] = []
        """Of the next askings, where they do not succeed."""
        self.asked: list[str] = []
        """The letters of each asking."""
        self.busy: list[str] = []
        """Those of the askings that go on."""

    async def look(self, pictures: Sequence[bytes], call: Call) -> list[Seen]:
        letters = b"".join(pictures).decode()
        self.asked.append(letters)
        self.busy.append(letters)
        failure = self.failures.pop(0) if self.failures else None
        try:
            await _take(PREPARE_S, call)
            if BROKEN in letters:
                raise ImageCorrupt("it is broken", **{INDEX: letters.index(BROKEN)})
            await _take(INFER_S, call)
            if failure is not None:
                raise failure()
        except asyncio.CancelledError:
            await asyncio.sleep(LINGER_S)
            raise
        finally:
            self.busy.remove(letters)
        return [said(letter, str(self.version), self.sizes.get(letter, 8)) for letter in letters]


async def _take(seconds: float, call: Call) -> None:
    """Take time, but no more than is left to the call when this begins."""
    try:
        async with asyncio.timeout(call.remaining_s()):
            await asyncio.sleep(seconds)
    except TimeoutError as error:
        raise DeadlineExceeded("it was not done in time") from error


class Asker:
    """Requests of letters, through one `Sharing`."""

    def __init__(self, clock: Clock, cache_bytes: int = 0, max_rows: int = 8) -> None:
        self.registry = CollectorRegistry()
        metrics = ReuseMetrics(self.registry)
        self.cache = SeenCache(cache_bytes, 60.0, metrics, clock) if cache_bytes else None
        self.predictor = Predictor()
        self.scope = Scope("m", "digest")
        self.sharing = Sharing(self.scope, self.cache, metrics, max_rows)

    async def see(self, letters: str, own: Call | None = None) -> list[Seen]:
        pictures = [letter.encode() for letter in letters]
        seen, _ = await self.sharing.see(pictures, pictures, own or call(), self.predictor.look)
        return seen

    async def ask(self, letters: str, own: Call | None = None) -> str:
        """Return the letters that the model saw, which should be the same."""
        return "".join(map(letter_of, await self.see(letters, own)))

    def begin(self, letters: str, own: Call | None = None) -> asyncio.Task[str]:
        return asyncio.create_task(self.ask(letters, own))

    def count(self, name: str, **labels: str) -> float:
        """A metric, without its prefix."""
        return self.registry.get_sample_value(f"kserve_vision_{name}", labels) or 0.0
