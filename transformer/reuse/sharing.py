"""What the requests for one version of a model have in common."""

from __future__ import annotations

from collections.abc import Sequence

from serving.admission import check_rows
from serving.call import Call
from transformer.reuse.cache import Key, Scope, SeenCache
from transformer.reuse.metrics import ReuseMetrics
from transformer.reuse.run import Look
from transformer.reuse.runs import Found, Runs, Search
from transformer.reuse.seen import Seen


class Sharing:
    """Finds pictures in the cache, where there is one, or in what others are asking; and asks of the rest.

    It belongs to the event loop.
    """

    def __init__(self, scope: Scope, cache: SeenCache | None, metrics: ReuseMetrics, max_rows: int) -> None:
        """Share what is asked of the version that `scope` stands for, by requests of at most `max_rows` pictures."""
        self._scope = scope
        self._cache = cache
        self._max_rows = max_rows
        self._hits = metrics.hits.labels(scope.model)
        self._misses = metrics.misses.labels(scope.model)
        self._collapsed = metrics.collapsed.labels(scope.model)
        self._runs = Runs(self._keep)
        self._model_version = ""

    def close(self) -> None:
        """Let go of what the cache holds for this version."""
        if self._cache is not None:
            self._cache.forget(self._scope)

    async def see(
        self, pictures: Sequence[bytes], contents: Sequence[bytes], call: Call, look: Look
    ) -> tuple[list[Seen], int]:
        """Return what the model says of pictures, whose digests are `contents`, and of how many `look` was not asked.

        All of it is of one version of the model.

        Raises:
            RequestTooLarge: these are more than the queue ever holds, however many of them need no work.
            DeadlineExceeded: the call's time was over.
            ServingError: of `look`, with the place among these pictures where it is about one.
        """
        check_rows(len(pictures), self._max_rows)
        found = self._recall(contents)
        hits = sum(content in found for content in contents)
        search = Search(self._runs, contents, dict(zip(contents, pictures, strict=True)), found, call, look)
        await search.finish()
        if len({seen.model_version for seen in found.values()}) > 1:  # one is just being replaced by the other
            return await look(pictures, call), 0
        reused = len(pictures) - len(search.asked)
        self._collapsed.inc(reused - hits)
        return [found[content] for content in contents], reused

    def _recall(self, contents: Sequence[bytes]) -> Found:
        """Return what the cache has, of the version that the predictor's latest answer was of."""
        found: Found = {}
        if self._cache is None:
            return found
        for content in contents:
            seen = self._cache.get(Key(self._scope, self._model_version, content))
            if seen is not None:
                found[content] = seen
            (self._misses if seen is None else self._hits).inc()
        return found

    def _keep(self, found: Found) -> None:
        for content, seen in found.items():
            self._model_version = seen.model_version
            if self._cache is not None:
                self._cache.put(Key(self._scope, seen.model_version, content), seen)
