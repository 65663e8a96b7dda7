"""Who works, who waits, and what they are told, in virtual time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps

import pytest

from serving.call import Call
from serving.errors import DeadlineExceeded, ImageCorrupt, Overloaded, PredictorFault, RequestTooLarge
from tests.virtual_time import Clock
from transformer.reuse import Seen
from transformer.reuse.run import Run

from .predictor import LINGER_S, PREPARE_S, WORK_S, Asker, Predictor, call
from .virtual import in_virtual_time

ROOM = 2**20
MODEL = {"model": "m"}


def virtually(test: Callable[[Clock], Awaitable[None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        in_virtual_time(test)

    del run.__wrapped__  # pytest would look for a fixture called clock
    return run


@virtually
async def test_what_was_asked_before_needs_no_work(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    assert [await asker.ask("a"), await asker.ask("ab"), await asker.ask("ba")] == ["a", "ab", "ba"]

    assert asker.predictor.asked == ["a", "b"]
    assert (asker.count("cache_hits_total", **MODEL), asker.count("cache_misses_total", **MODEL)) == (3, 2)
    assert asker.count("collapsed_pictures_total", **MODEL) == 0


@virtually
async def test_without_a_cache_what_was_asked_before_is_asked_again(clock: Clock) -> None:
    asker = Asker(clock)
    assert [await asker.ask("a"), await asker.ask("a")] == ["a", "a"]

    assert asker.predictor.asked == ["a", "a"]


@virtually
async def test_those_who_ask_the_same_at_a_time_ask_once(clock: Clock) -> None:
    asker = Asker(clock)
    first = asker.begin("a")
    await asyncio.sleep(PREPARE_S)
    others = [asker.begin(letters) for letters in ("a", "ab", "ca")]
    assert await asyncio.gather(first, *others) == ["a", "a", "ab", "ca"]

    assert asker.predictor.asked == ["a", "b", "c"]
    assert clock.now == pytest.approx(1000 + PREPARE_S + WORK_S)
    assert asker.count("collapsed_pictures_total", **MODEL) == 3


@virtually
async def test_a_picture_that_comes_twice_in_a_request_is_asked_once(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    assert await asker.ask("abab") == "abab"

    assert asker.predictor.asked == ["ab"]
    assert asker.count("collapsed_pictures_total", **MODEL) == 2
    assert asker.count("cache_misses_total", **MODEL) == 4


@virtually
async def test_it_is_told_how_many_needed_no_work(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    await asker.ask("a")
    pictures = [b"a", b"b", b"b", b"c"]

    _, reused = await asker.sharing.see(pictures, pictures, call(), asker.predictor.look)
    assert reused == 2


@virtually
async def test_a_caller_who_goes_away_takes_nothing_from_those_who_wait(clock: Clock) -> None:
    asker = Asker(clock)
    first, second, third = asker.begin("a"), asker.begin("a"), asker.begin("a")
    await asyncio.sleep(PREPARE_S)
    first.cancel()
    second.cancel()

    assert await third == "a"
    assert asker.predictor.asked == ["a"]
    assert first.cancelled()
    assert second.cancelled()


@virtually
async def test_work_that_nobody_waits_for_ends_and_is_not_joined(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    callers = [asker.begin("a"), asker.begin("a")]
    await asyncio.sleep(PREPARE_S)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    late = asker.begin("a")
    await asyncio.sleep(LINGER_S * 1.5)
    assert asker.predictor.busy == ["a"], "the new one's"

    assert list(await asyncio.gather(late, asker.begin("a"))) == ["a", "a"]
    assert asker.predictor.asked == ["a", "a"]
    assert clock.now == pytest.approx(1000 + PREPARE_S + WORK_S)


@virtually
async def test_work_that_a_stranger_ends_is_begun_again(clock: Clock) -> None:
    asker = Asker(clock)
    caller = asker.begin("a")
    await asyncio.sleep(0)
    (work,) = asyncio.all_tasks() - {caller, asyncio.current_task()}
    work.cancel()

    assert await caller == "a"


@virtually
async def test_work_that_fails_while_it_is_ended_is_nobodys_concern(clock: Clock) -> None:
    asker = Asker(clock)

    class Touchy(Predictor):
        async def look(self, pictures: Sequence[bytes], call: Call) -> list[Seen]:
            try:
                return await super().look(pictures, call)
            except asyncio.CancelledError:
                raise PredictorFault("hung up on") from None

    asker.predictor = Touchy()
    caller = asker.begin("a")
    await asyncio.sleep(PREPARE_S)
    caller.cancel()
    await asyncio.wait([caller])
    await asyncio.sleep(LINGER_S)

    assert caller.cancelled()
    assert asker.predictor.busy == []


@virtually
async def test_a_caller_whose_time_is_over_before_the_work_begins_leaves_nothing(clock: Clock) -> None:
    asker = Asker(clock)
    with pytest.raises(DeadlineExceeded):
        await asker.ask("a", call(limit_s=0.0))

    assert asker.predictor.asked == []
    assert await asker.ask("a") == "a"


@virtually
async def test_a_deadline_is_nobody_elses(clock: Clock) -> None:
    asker = Asker(clock)
    hasty = asker.begin("a", call(limit_s=PREPARE_S + 0.001))
    await asyncio.sleep(PREPARE_S + 0.0005)  # the predictor was given the first one's time already
    patient = [asker.begin("a", call(limit_s=limit)) for limit in (WORK_S * 3, WORK_S * 4)]

    with pytest.raises(DeadlineExceeded):
        await hasty
    assert clock.now == pytest.approx(1000 + PREPARE_S + 0.001)
    assert await asyncio.gather(*patient) == ["a", "a"]
    assert asker.predictor.asked == ["a", "a"], "once more for both"


@virtually
async def test_a_deadline_is_the_latest_of_those_who_wait(clock: Clock) -> None:
    asker = Asker(clock)
    hasty = asker.begin("a", call(limit_s=PREPARE_S + 0.001))
    patient = [asker.begin("a", call(limit_s=1.0)), asker.begin("a", call())]

    with pytest.raises(DeadlineExceeded):
        await hasty
    assert await asyncio.gather(*patient) == ["a", "a"]
    assert asker.predictor.asked == ["a"]


@virtually
async def test_a_caller_who_waits_for_others_waits_no_longer_than_it_can(clock: Clock) -> None:
    asker = Asker(clock)
    first = asker.begin("a")
    await asyncio.sleep(0)

    with pytest.raises(DeadlineExceeded):
        await asker.ask("a", call(limit_s=0.005))
    assert clock.now == pytest.approx(1000.005)
    assert await first == "a"


@virtually
async def test_a_full_queue_refuses_only_the_one_it_refuses(clock: Clock) -> None:
    asker = Asker(clock)
    asker.predictor.failures = [lambda: Overloaded("no room")]
    first, *others = [asker.begin("a") for _ in range(4)]

    with pytest.raises(Overloaded):
        await first
    assert await asyncio.gather(*others) == ["a"] * 3
    assert asker.predictor.asked == ["a", "a"]


@virtually
async def test_a_broken_picture_is_broken_for_all_and_is_not_kept(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    faults = await asyncio.gather(*(asker.begin(letters) for letters in ("x", "x", "ax")), return_exceptions=True)

    assert [type(fault) for fault in faults] == [ImageCorrupt] * 3
    assert [fault.details["index"] for fault in faults if isinstance(fault, ImageCorrupt)] == [0, 0, 1]
    assert asker.predictor.asked == ["x", "a"]
    with pytest.raises(ImageCorrupt):
        await asker.ask("x")
    assert asker.predictor.asked == ["x", "a", "x"]


@virtually
async def test_each_caller_has_an_error_of_its_own(clock: Clock) -> None:
    asker = Asker(clock)
    one, other = await asyncio.gather(asker.begin("x"), asker.begin("x"), return_exceptions=True)

    assert isinstance(one, ImageCorrupt)
    assert isinstance(other, ImageCorrupt)
    assert one is not other
    assert one.details is not other.details
    assert one.__cause__ is other.__cause__ is not None


@virtually
async def test_another_picture_of_a_batch_being_broken_is_not_the_fault_of_those_who_wait(clock: Clock) -> None:
    asker = Asker(clock)
    batch = asker.begin("abx")
    others = [asker.begin("a"), asker.begin("ba")]

    with pytest.raises(ImageCorrupt):
        await batch
    assert await asyncio.gather(*others) == ["a", "ba"]


@virtually
async def test_the_place_of_a_broken_picture_is_that_in_the_request(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    await asker.ask("ab")

    with pytest.raises(ImageCorrupt) as fault:
        await asker.ask("aabcx")
    assert asker.predictor.asked[-1] == "cx"
    assert fault.value.details["index"] == 4


@virtually
async def test_a_predictor_that_fails_on_a_picture_fails_all_who_ask_of_it(clock: Clock) -> None:
    asker = Asker(clock)
    asker.predictor.failures = [lambda: PredictorFault("no")]
    faults = await asyncio.gather(*(asker.begin("a") for _ in range(20)), return_exceptions=True)

    assert [type(fault) for fault in faults] == [PredictorFault] * 20
    assert asker.predictor.asked == ["a"]


@virtually
async def test_a_predictor_that_fails_on_a_batch_is_asked_of_a_picture_alone(clock: Clock) -> None:
    asker = Asker(clock)
    asker.predictor.failures = [lambda: PredictorFault("too much at once")]
    batch, alone = asker.begin("abc"), asker.begin("b")

    with pytest.raises(PredictorFault):
        await batch
    assert await alone == "b"


@virtually
async def test_an_unforeseen_failure_is_told_to_all_and_leaves_nothing(clock: Clock) -> None:
    asker = Asker(clock, ROOM)

    def bug() -> PredictorFault:
        raise KeyError("a bug")

    asker.predictor.failures = [bug]
    faults = await asyncio.gather(asker.begin("a"), asker.begin("a"), return_exceptions=True)

    assert [type(fault) for fault in faults] == [KeyError] * 2
    assert await asker.ask("a") == "a"


@virtually
async def test_pictures_in_opposite_order_do_not_wait_for_each_other(clock: Clock) -> None:
    asker = Asker(clock)
    first = [asker.begin("a"), asker.begin("b")]
    await asyncio.sleep(PREPARE_S)
    assert await asyncio.gather(*first, asker.begin("acb"), asker.begin("bca")) == ["a", "b", "acb", "bca"]

    assert asker.predictor.asked == ["a", "b", "c"]


@virtually
async def test_what_another_version_said_is_not_used_once_a_new_one_has_answered(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    await asker.ask("ab")
    asker.predictor.version = 2
    await asker.ask("c")

    assert [seen.model_version for seen in await asker.see("ac")] == ["2", "2"]
    assert asker.predictor.asked == ["ab", "c", "a"]


@virtually
async def test_one_answer_is_of_one_version(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    await asker.ask("a")
    asker.predictor.version = 2

    assert [seen.model_version for seen in await asker.see("ab")] == ["2", "2"]
    assert asker.predictor.asked == ["a", "b", "ab"]


@virtually
async def test_what_is_closed_is_forgotten(clock: Clock) -> None:
    asker = Asker(clock, ROOM)
    await asker.ask("a")
    asker.sharing.close()

    assert asker.cache is not None
    assert len(asker.cache) == 0
    assert asker.count("cache_evictions_total", reason="closed") == 1


@virtually
async def test_a_request_of_more_pictures_than_the_queue_holds_is_refused_though_all_are_known(clock: Clock) -> None:
    asker = Asker(clock, ROOM, max_rows=3)
    await asker.ask("a")

    with pytest.raises(RequestTooLarge):
        await asker.ask("aaaa")


@virtually
async def test_nothing_of_a_failed_run_waits_for_the_collector(clock: Clock) -> None:
    asker = Asker(clock)
    gc.collect()
    gc.disable()
    try:
        await asyncio.gather(*(asker.begin("x") for _ in range(3)), return_exceptions=True)
        await asyncio.sleep(0)
        assert [each for each in gc.get_objects() if isinstance(each, Run)] == []
    finally:
        gc.enable()


@virtually
async def test_the_predictor_sees_the_request_that_came_first(clock: Clock) -> None:
    asker = Asker(clock)
    met: list[str] = []

    class Noting(Predictor):
        async def look(self, pictures: Sequence[bytes], call: Call) -> list[Seen]:
            met.append(call.request_id)
            return await super().look(pictures, call)

    asker.predictor = Noting()
    calls = [call("first"), call("second")]
    await asyncio.gather(*(asker.begin("a", each) for each in calls))

    assert met == ["first"]
    assert [list(each.stages) for each in calls] == [[], ["collapsed"]]
