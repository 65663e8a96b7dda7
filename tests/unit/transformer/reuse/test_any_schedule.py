"""Requests come, go and fail in whatever order: none is lost, none gets another's picture, and the room is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.call import Call
from serving.errors import DeadlineExceeded, ImageCorrupt, Overloaded, PredictorFault, ServingError
from tests.virtual_time import Clock
from transformer.reuse import Seen
from transformer.reuse.seen import ENTRY_BYTES

from .predictor import BROKEN, LINGER_S, WORK_S, Asker, Predictor, call, letter_of
from .virtual import in_virtual_time

LETTERS = "abcde" + BROKEN
SIZES = {"a": 0, "b": 100, "c": 1000, "d": 2000, "e": 100_000}
ROOM = 3 * 8 * ENTRY_BYTES // 2
"""So that an entry may take 1.5 times what the smallest one takes."""
LONGEST_S = 100.0
FAILURES = {"none": None, "overloaded": Overloaded, "fault": PredictorFault}

TIMES = st.integers(1, 60).map(lambda milliseconds: milliseconds / 1000)
Step = tuple[Any, ...]
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.text(LETTERS, min_size=1, max_size=4), st.none() | TIMES),
    st.tuples(st.just("ask"), st.sampled_from("ab"), st.none() | TIMES),
    st.tuples(st.just("hang_up"), st.integers(0, 30)),
    st.tuples(st.just("fail"), st.sampled_from(list(FAILURES))),
    st.tuples(st.just("replace")),
    st.tuples(st.just("forget")),
    st.tuples(st.just("wait"), TIMES),
    st.tuples(st.just("turn")),
)


@dataclass
class Request:
    letters: str
    call: Call
    heard: int
    """The latest version that the predictor had answered with when it came."""
    task: asyncio.Task[list[Seen]]
    hung_up: bool = False
    ended: float = 0.0


class Witness(Predictor):
    """Notes who was refused, which pictures failed, and that no picture is asked of twice at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = SIZES
        self.heard = 0
        self.refused: set[str] = set()
        self.failed: list[tuple[str, str]] = []

    async def look(self, pictures: Sequence[bytes], call: Call) -> list[Seen]:
        letters = b"".join(pictures).decode()
        is_again = len(set(letters)) < len(letters)
        try:
            seen = await super().look(pictures, call)
        except Overloaded:
            self.refused.add(call.request_id)
            raise
        except PredictorFault:
            self.failed.append((call.request_id, letters))
            raise
        assert is_again or len(seen) == len(letters)
        self.heard = max(self.heard, int(seen[0].model_version))
        return seen


class World:
    def __init__(self, clock: Clock, *, has_cache: bool) -> None:
        self.clock = clock
        self.asker = Asker(clock, ROOM if has_cache else 0)
        self.predictor = self.asker.predictor = Witness()
        self.requests: list[Request] = []

    async def play(self, steps: Sequence[Step]) -> None:
        for name, *arguments in steps:
            match name:
                case "wait":
                    await asyncio.sleep(arguments[0])
                case "turn":
                    await asyncio.sleep(0)
                case _:
                    getattr(self, name)(*arguments)
            self.check_room()
        tasks = [request.task for request in self.requests]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=LONGEST_S)
            assert not late, "lost"
        await asyncio.sleep(LINGER_S)
        await asyncio.sleep(0)
        assert self.predictor.busy == [], "nobody waits for it"
        for request in self.requests:
            self.check(request)
        self.check_room()
        self.check_kept()

    def ask(self, letters: str, limit_s: float | None) -> None:
        own = call(str(len(self.requests)), limit_s)
        task = asyncio.create_task(self.asker.see(letters, own))
        request = Request(letters, own, self.predictor.heard, task)
        task.add_done_callback(lambda _: setattr(request, "ended", self.clock()))
        self.requests.append(request)

    def hang_up(self, number: int) -> None:
        if number < len(self.requests):
            request = self.requests[number]
            request.hung_up = request.task.cancel() or request.hung_up

    def fail(self, name: str) -> None:
        failure = FAILURES[name]
        self.predictor.failures.append(failure and (lambda: failure("as planned")))

    def replace(self) -> None:
        self.predictor.version += 1

    def forget(self) -> None:
        self.asker.sharing.close()

    def check_room(self) -> None:
        cache = self.asker.cache
        if cache is not None:
            assert cache.nbytes <= ROOM
            assert cache.nbytes == sum(entry.seen.nbytes for entry in cache._entries.values())
            assert self.asker.count("cache_bytes") == cache.nbytes
            assert self.asker.count("cache_entries") == len(cache)

    def check_kept(self) -> None:
        if self.asker.cache is not None:
            for key, entry in self.asker.cache._entries.items():
                letter = key.content.decode()
                assert letter not in (BROKEN, "e"), "failed, and too large"
                assert (letter_of(entry.seen) if SIZES[letter] else letter) == letter
                assert key.model_version == entry.seen.model_version

    def check(self, request: Request) -> None:
        deadline = request.call.deadline
        assert deadline is None or request.hung_up or request.ended <= deadline + 1e-6
        if request.task.cancelled():
            assert request.hung_up
            return
        error = request.task.exception()
        if error is None:
            self.check_seen(request, request.task.result())
        else:
            assert isinstance(error, ServingError)
            self.check_error(request, error)

    def check_seen(self, request: Request, seen: list[Seen]) -> None:
        assert BROKEN not in request.letters
        for letter, each in zip(request.letters, seen, strict=True):
            assert each.tensors["letter"].size == SIZES[letter]
            assert not SIZES[letter] or letter_of(each) == letter
        (version,) = {int(each.model_version) for each in seen}
        assert version >= request.heard

    def check_error(self, request: Request, error: ServingError) -> None:
        match error:
            case ImageCorrupt():
                assert request.letters[error.details["index"]] == BROKEN  # type: ignore[index]
            case DeadlineExceeded():
                assert request.call.deadline is not None
                assert request.ended >= request.call.deadline - 1e-6
            case Overloaded():
                assert request.call.request_id in self.predictor.refused
            case PredictorFault():
                own = request.call.request_id
                assert any(
                    by == own or (len(letters) == 1 and letters in request.letters)
                    for by, letters in self.predictor.failed
                )
            case _:
                raise AssertionError(error)


@settings(max_examples=1000, deadline=None)
@given(steps=st.lists(STEPS, max_size=30), has_cache=st.booleans())
def test_whatever_happens(steps: list[Step], has_cache: bool) -> None:  # noqa: FBT001  # hypothesis' own
    async def play(clock: Clock) -> None:
        await World(clock, has_cache=has_cache).play(steps)

    in_virtual_time(play)


@settings(max_examples=100, deadline=None)
@given(
    orders=st.lists(st.permutations("abcd").map("".join), min_size=2, max_size=8), gap=st.sampled_from([0.0, WORK_S])
)
def test_requests_of_the_same_pictures_in_any_order_ask_of_each_once(orders: list[str], gap: float) -> None:
    async def play(clock: Clock) -> None:
        asker = Asker(clock, 2**20)
        callers = []
        for order in orders:
            callers.append(asker.begin(order))
            await asyncio.sleep(gap)
        assert await asyncio.gather(*callers) == orders
        assert asker.predictor.asked == [orders[0]]

    in_virtual_time(play)
