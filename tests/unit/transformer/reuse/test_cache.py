from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from tests.virtual_time import Clock
from transformer.reuse import ReuseMetrics, Scope, Seen, SeenCache, contents_of, is_quick
from transformer.reuse.cache import SHARE, Key
from transformer.reuse.seen import ENTRY_BYTES

from .predictor import PICTURE, letter_of, said

ROOM = 16
"""How many small pictures the cache of a test holds."""
SMALL = ENTRY_BYTES + 8
TTL_S = 60.0
SCOPE = Scope("m", "digest")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def cache(clock: Clock, registry: CollectorRegistry) -> SeenCache:
    return SeenCache(ROOM * SMALL, TTL_S, ReuseMetrics(registry), clock)


def key(number: int, scope: Scope = SCOPE, version: str = "1") -> Key:
    return Key(scope, version, contents_of([number.to_bytes(4)])[0])


def fill(cache: SeenCache, count: int, scope: Scope = SCOPE) -> None:
    for number in range(count):
        cache.put(key(number, scope), said("a"))


def known(cache: SeenCache, count: int) -> list[int]:
    return [number for number in range(count) if cache.get(key(number)) is not None]


def test_what_was_not_asked_for_the_longest_makes_room(cache: SeenCache, registry: CollectorRegistry) -> None:
    fill(cache, ROOM)
    assert cache.get(key(0)) is not None

    for number in (ROOM, ROOM + 1):
        cache.put(key(number), said("a"))

    assert known(cache, ROOM + 2) == [0, *range(3, ROOM + 2)]
    assert cache.nbytes == ROOM * SMALL
    assert registry.get_sample_value("kserve_vision_cache_evictions_total", {"reason": "size"}) == 2
    assert registry.get_sample_value("kserve_vision_cache_bytes") == cache.nbytes
    assert registry.get_sample_value("kserve_vision_cache_entries") == len(cache) == ROOM


def test_a_large_picture_takes_the_room_of_several(cache: SeenCache) -> None:
    fill(cache, ROOM)
    cache.put(key(99), said("a", nbytes=SMALL // 2))

    assert cache.get(key(99)) is not None
    assert len(cache) == ROOM - 1
    assert cache.nbytes <= ROOM * SMALL


def test_what_would_drive_the_others_out_is_not_kept(cache: SeenCache, registry: CollectorRegistry) -> None:
    fill(cache, 4)
    most = ROOM * SMALL // SHARE - ENTRY_BYTES

    cache.put(key(4), said("a", nbytes=most + 1))
    assert known(cache, 5) == [0, 1, 2, 3]
    assert registry.get_sample_value("kserve_vision_cache_too_large_total", {"model": "m"}) == 1

    cache.put(key(4), said("a", nbytes=most))
    assert known(cache, 5) == [0, 1, 2, 3, 4]


def test_a_picture_that_is_kept_anew_counts_once(cache: SeenCache) -> None:
    cache.put(key(0), said("a", nbytes=100))
    cache.put(key(0), said("b"))

    found = cache.get(key(0))
    assert found is not None
    assert letter_of(found) == "b"
    assert (len(cache), cache.nbytes) == (1, SMALL)


def test_what_is_too_old_is_gone(cache: SeenCache, clock: Clock, registry: CollectorRegistry) -> None:
    fill(cache, 1)
    clock.now += TTL_S - 0.1
    assert known(cache, 1) == [0], "to be asked for makes it no younger"
    clock.now += 0.1

    assert known(cache, 1) == []
    assert (len(cache), cache.nbytes) == (0, 0)
    assert registry.get_sample_value("kserve_vision_cache_evictions_total", {"reason": "age"}) == 1


def test_each_loading_of_a_version_has_its_own(cache: SeenCache) -> None:
    again = Scope(SCOPE.model, SCOPE.contract)
    fill(cache, 2)
    assert cache.get(key(0, again)) is None
    fill(cache, 3, again)

    cache.forget(SCOPE)

    assert known(cache, 2) == []
    assert all(cache.get(key(number, again)) is not None for number in range(3))
    assert cache.nbytes == 3 * SMALL


def test_each_version_has_its_own(cache: SeenCache) -> None:
    cache.put(key(0, version="1"), said("a"))

    assert cache.get(key(0, version="2")) is None


def test_what_is_kept_holds_no_message_and_no_batch(cache: SeenCache) -> None:
    batch = np.frombuffer(bytes(8_000_000), np.float32).reshape(8, -1)
    cache.put(key(0), Seen.of({"scores": batch[3, :10]}, PICTURE, "1"))

    found = cache.get(key(0))
    assert found is not None
    scores = found.tensors["scores"]
    assert (scores.base, scores.nbytes) == (None, 40)
    assert not scores.flags.writeable


def test_what_is_kept_has_the_pictures_size_and_none_of_its_pixels() -> None:
    seen = said("a")

    assert seen.picture.geometry is PICTURE.geometry
    assert seen.picture.pixels.shape == PICTURE.pixels.shape
    assert seen.picture.pixels.base is not PICTURE.pixels
    assert not seen.picture.pixels.flags.writeable


def test_a_digest_is_of_the_bytes_and_of_nothing_else() -> None:
    one, other = bytes(1000), bytes(999) + b"\1"

    assert contents_of([one, other]) == [*contents_of([bytes(1000)]), *contents_of([other])]
    assert len(set(contents_of([one, other, one + b"\0", b""]))) == 4


def test_many_or_large_pictures_are_digested_on_a_thread() -> None:
    assert is_quick([bytes(100_000)] * 2)
    assert not is_quick([bytes(100_000)] * 3)


def test_every_metric_tells_its_unit(registry: CollectorRegistry) -> None:
    ReuseMetrics(registry)
    helps = {metric.name: metric.documentation for metric in registry.collect()}

    assert len(helps) == 7
    for name, text in helps.items():
        assert text.startswith("Bytes" if name.endswith("_bytes") else "Pictures")
        assert text.endswith(".")
