"""What the model said of pictures, for as long as there is room and it is young enough."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from transformer.reuse.metrics import ReuseMetrics
from transformer.reuse.seen import Seen

SHARE: Final = 8
"""An entry takes at most one part in so many of the room, so that none drives all others out."""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One loading of a version of a model, with its contract: what is kept for one is never given to another, though
    both have one name and one digest.
    """

    model: str
    contract: str
    """The contract's digest."""


class Key(NamedTuple):
    """What an entry is found by."""

    scope: Scope
    model_version: str
    """As the predictor said it."""
    content: bytes


class _Entry(NamedTuple):
    seen: Seen
    nbytes: int
    expires: float


class SeenCache:
    """At most `max_bytes`, of all models together; what was not asked for the longest goes first.

    It belongs to the event loop: no method waits. `now` gives seconds.
    """

    def __init__(
        self, max_bytes: int, ttl_s: float, metrics: ReuseMetrics, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._metrics = metrics
        self._now = now
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """The bytes of all that it holds."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Seen | None:
        """Return what is kept under a key."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._now() >= entry.expires:
            self._remove(key, "age")
            return None
        self._entries.move_to_end(key)
        return entry.seen

    def put(self, key: Key, seen: Seen) -> None:
        """Keep a copy, in the place of an older one; what is too large is not kept."""
        nbytes = seen.nbytes
        if nbytes > self._max_bytes // SHARE:
            self._metrics.too_large.labels(key.scope.model).inc()
            return
        replaced = self._entries.pop(key, None)
        self._bytes += nbytes - (replaced.nbytes if replaced else 0)
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._entries)), "size")
        self._entries[key] = _Entry(seen.kept(), nbytes, self._now() + self._ttl_s)
        self._show()

    def forget(self, scope: Scope) -> None:
        """Let go of all that is kept of a scope."""
        for key in [key for key in self._entries if key.scope is scope]:
            self._remove(key, "closed")

    def _remove(self, key: Key, reason: str) -> None:
        self._bytes -= self._entries.pop(key).nbytes
        self._metrics.evictions.labels(reason).inc()
        self._show()

    def _show(self) -> None:
        self._metrics.bytes.set(self._bytes)
        self._metrics.entries.set(len(self._entries))
