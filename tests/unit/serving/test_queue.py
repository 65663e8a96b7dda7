from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
import pytest_asyncio

from serving.admission import Admission, Bounds
from serving.call import Call
from serving.errors import DeadlineExceeded
from serving.metrics import Metrics
from serving.queue import Hold, WorkQueue

SOON_S = 0.005
PATIENCE_S = 10.0


@dataclass
class Work:
    """Work that stays on its thread until it is let go."""

    result: str = "done"
    started: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> str:
        self.started.set()
        assert self.let_go.wait(PATIENCE_S)
        return self.result


@dataclass
class Bench:
    """A queue of one thread, and work that occupies it."""

    queue: WorkQueue
    metrics: Metrics
    work: Work = field(default_factory=Work)

    @property
    def admitted(self) -> float | None:
        return self.metrics.registry.get_sample_value("kserve_vision_queue_rows", {"model": "", "version": ""})

    async def occupy(self) -> asyncio.Task[str]:
        task = self.start(self.work)
        await happened(self.work.started)
        return task

    def start(self, work: Callable[[], str], rows: int = 1, call: Call | None = None) -> asyncio.Task[str]:
        async def admitted() -> str:
            with self.queue.admit(rows):
                return await self.queue.run(call or Call("id", "test"), work)

        return asyncio.create_task(admitted())

    async def is_free(self) -> bool:
        """Whether the thread takes work at once."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.queue.run(Call("id", "test"), lambda: True)


def admission(rows: int, metrics: Metrics | None = None) -> Admission:
    return Admission("the test", Bounds(rows, 2**30, 60.0), (metrics or Metrics("test")).queue_of())


MEMORY = 100


@dataclass
class Cellar:
    """A queue of four threads that have little memory together, and work that holds some of it until it is let go."""

    queue: WorkQueue
    begun: list[str] = field(default_factory=list)
    works: dict[str, Work] = field(default_factory=dict)

    def start(self, name: str, size: int, call: Call | None = None) -> asyncio.Task[str]:
        work = self.works[name] = Work(name)

        def holding(hold: Hold) -> str:
            with hold(size):
                self.begun.append(name)
                return work()

        return asyncio.create_task(self.queue.run_holding(call or Call(name, "test"), holding))

    async def stand(self, name: str, size: int, call: Call | None = None) -> asyncio.Task[str]:
        """Start work that finds no room, and wait until it is in the line for it."""
        line = self.queue._room._line
        before = len(line)
        task = self.start(name, size, call)
        await asyncio.to_thread(until, lambda: len(line) > before)
        return task

    async def hold(self, name: str, size: int) -> asyncio.Task[str]:
        """Start work that finds room, and wait until it has it."""
        task = self.start(name, size)
        await happened(self.works[name].started)
        return task

    def let_go(self, *names: str) -> None:
        for name in names:
            self.works[name].let_go.set()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(SOON_S / 10)


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    metrics = Metrics("test")
    bench = Bench(WorkQueue("the test", 1, admission(4, metrics)), metrics)
    yield bench
    bench.work.let_go.set()
    await bench.queue.close()


@pytest_asyncio.fixture
async def cellar() -> AsyncIterator[Cellar]:
    cellar = Cellar(WorkQueue("the cellar", 4, admission(99), MEMORY))
    yield cellar
    cellar.let_go(*cellar.works)
    await cellar.queue.close()


async def test_work_runs_on_a_thread_of_the_queue(bench: Bench) -> None:
    name = await bench.queue.run(Call("id", "test"), lambda: threading.current_thread().name)

    assert name.startswith("the test")


async def test_work_that_waits_is_done_in_the_order_of_arrival(bench: Bench) -> None:
    first = await bench.occupy()
    order: list[int] = []

    def note(number: int) -> str:
        order.append(number)
        return str(number)

    waiting = [bench.start(partial(note, number)) for number in range(3)]
    await asyncio.sleep(0)
    bench.work.let_go.set()
    results = await asyncio.gather(first, *waiting)

    assert order == [0, 1, 2]
    assert results == ["done", "0", "1", "2"]


async def test_as_many_works_run_at_once_as_there_are_threads() -> None:
    queue = WorkQueue("two", 2, admission(9))
    works = [Work(), Work(), Work()]
    tasks = [asyncio.create_task(queue.run(Call("id", "test"), work)) for work in works]

    await happened(works[0].started)
    await happened(works[1].started)

    assert not works[2].started.is_set()
    for work in works:
        work.let_go.set()
    await asyncio.gather(*tasks)
    await queue.close()


async def test_rows_are_counted_from_their_admission_to_their_end(bench: Bench) -> None:
    first = await bench.occupy()
    second = bench.start(lambda: "two", rows=3)
    await asyncio.sleep(0)

    assert bench.admitted == 4
    bench.work.let_go.set()
    await asyncio.gather(first, second)
    assert bench.admitted == 0


async def test_a_deadline_that_passes_in_the_queue_ends_the_wait_without_the_work(bench: Bench) -> None:
    first = await bench.occupy()
    call = Call("id", "test")
    call.limit(SOON_S)
    late = Work()

    with pytest.raises(DeadlineExceeded, match="was busy for all of the time"):
        await bench.queue.run(call, late)

    assert call.stages["queue"] > 0
    bench.work.let_go.set()
    assert await first == "done"
    assert await bench.is_free()
    assert not late.started.is_set()


async def test_a_deadline_that_has_passed_takes_no_place(bench: Bench) -> None:
    late = Work()

    with pytest.raises(DeadlineExceeded):
        await bench.queue.run(Call("id", "test", deadline=time.monotonic() - 1), late)

    assert not late.started.is_set()
    assert await bench.is_free()


async def test_a_deadline_that_passes_during_the_work_is_answered_at_once_and_frees_the_thread_later(
    bench: Bench,
) -> None:
    call = Call("id", "test")
    call.limit(SOON_S)

    with pytest.raises(DeadlineExceeded, match="did not finish in the time"):
        await bench.queue.run(call, bench.work)

    second = bench.start(lambda: "second")
    await asyncio.sleep(SOON_S)
    assert not second.done()
    bench.work.let_go.set()
    assert await second == "second"


async def test_a_caller_that_leaves_while_it_waits_takes_its_place_along(bench: Bench) -> None:
    first = await bench.occupy()
    gone = Work()
    leaving = [bench.start(gone) for _ in range(2)]
    staying = bench.start(lambda: "stays")
    await asyncio.sleep(0)

    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    assert bench.admitted == 2
    bench.work.let_go.set()

    assert [await first, await staying] == ["done", "stays"]
    assert not gone.started.is_set()
    assert await bench.is_free()


async def test_requests_take_turns_whatever_their_size(bench: Bench) -> None:
    first = await bench.occupy()
    order: list[str] = []
    large, small = Call("large", "test"), Call("small", "test")

    def note(name: str) -> str:
        order.append(name)
        return name

    waiting = [bench.start(partial(note, "large"), call=large, rows=0) for _ in range(3)]
    waiting.append(bench.start(partial(note, "small"), call=small, rows=0))
    await asyncio.sleep(0)
    bench.work.let_go.set()
    await asyncio.gather(first, *waiting)

    assert order == ["large", "small", "large", "large"]


async def test_work_of_a_caller_that_has_left_is_forgotten_at_once(bench: Bench) -> None:
    await bench.occupy()
    held = weakref.ref(late := Work())
    leaving = bench.start(late)
    del late
    await asyncio.sleep(0)

    leaving.cancel()
    await asyncio.wait((leaving,))
    del leaving
    await asyncio.sleep(0)

    assert held() is None


async def test_a_caller_that_leaves_during_the_work_frees_the_thread_when_it_ends(bench: Bench) -> None:
    first = await bench.occupy()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = bench.start(lambda: "second")
    await asyncio.sleep(SOON_S)

    assert not second.done()
    bench.work.let_go.set()
    assert await second == "second"


async def test_what_the_work_raises_reaches_its_caller_and_frees_the_thread(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        await bench.queue.run(Call("id", "test"), lambda: 1 / 0)

    assert await bench.is_free()


async def test_what_the_work_raises_when_nobody_listens_any_more_is_no_complaint(bench: Bench) -> None:
    call = Call("id", "test")
    call.limit(SOON_S)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def fail() -> str:
        bench.work()
        raise ValueError("too late")

    with pytest.raises(DeadlineExceeded):
        await bench.queue.run(call, fail)
    bench.work.let_go.set()

    assert await bench.is_free()
    assert not complaints


async def test_closing_waits_for_the_work_that_was_begun(bench: Bench) -> None:
    first = await bench.occupy()
    closing = asyncio.create_task(bench.queue.close())
    await asyncio.sleep(SOON_S)

    assert not closing.done()
    bench.work.let_go.set()
    await closing
    assert await first == "done"


async def test_its_depth_is_what_is_done_and_what_waits_for_a_thread(bench: Bench) -> None:
    assert bench.queue.depth == 0
    first = await bench.occupy()
    waiting = [bench.start(lambda: "") for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert bench.queue.depth == 4
    bench.work.let_go.set()
    await asyncio.gather(first, *waiting)
    assert bench.queue.depth == 0


async def test_work_begins_when_there_is_memory_for_it(cellar: Cellar) -> None:
    first, second = await cellar.hold("first", 60), await cellar.hold("second", 40)
    third = await cellar.stand("third", 1)

    assert (cellar.begun, cellar.queue.held) == (["first", "second"], 100)
    cellar.let_go("second", "third")
    assert [await second, await third] == ["second", "third"]
    assert cellar.queue.held == 60
    cellar.let_go("first")
    await first
    assert cellar.queue.held == 0


async def test_what_needs_little_memory_does_not_overtake_what_needs_much(cellar: Cellar) -> None:
    first = await cellar.hold("first", 60)
    large = await cellar.stand("large", 80)
    small = await cellar.stand("small", 30)

    assert cellar.begun == ["first"]
    cellar.let_go("first", "large", "small")
    await asyncio.gather(first, large, small)
    assert cellar.begun == ["first", "large", "small"]


async def test_what_needs_more_memory_than_there_is_has_all_of_it_to_itself(cellar: Cellar) -> None:
    first = await cellar.hold("first", 1)
    huge = await cellar.stand("huge", 10 * MEMORY)
    last = await cellar.stand("last", 1)

    cellar.let_go("first")
    await happened(cellar.works["huge"].started)
    await first
    assert (cellar.begun, cellar.queue.held) == (["first", "huge"], 10 * MEMORY)
    cellar.let_go("huge", "last")
    assert [await huge, await last] == ["huge", "last"]


async def test_other_work_is_done_while_some_waits_for_memory(cellar: Cellar) -> None:
    await cellar.hold("first", MEMORY)
    await cellar.stand("second", MEMORY)

    assert await cellar.queue.run(Call("id", "test"), lambda: "done") == "done"


async def test_a_deadline_that_passes_in_the_wait_for_memory_ends_it_without_the_work(cellar: Cellar) -> None:
    await cellar.hold("first", MEMORY)
    call = Call("late", "test")
    call.limit(20 * SOON_S)
    late = await cellar.stand("late", MEMORY, call)
    last = await cellar.stand("last", 1)

    with pytest.raises(DeadlineExceeded, match="was busy for all of the time"):
        await late

    assert call.stages["queue"] >= 1000 * SOON_S
    cellar.let_go("first", "last")
    assert await last == "last"
    assert cellar.begun == ["first", "last"]


async def test_callers_that_leave_in_the_wait_for_memory_free_their_threads_at_once(cellar: Cellar) -> None:
    await cellar.hold("first", 60)
    leaving = [await cellar.stand(name, MEMORY) for name in ("second", "third", "fourth")]
    waiting = cellar.start("small", 40)
    await asyncio.sleep(SOON_S)
    assert cellar.begun == ["first"]

    for task in leaving:
        task.cancel()
    await happened(cellar.works["small"].started)

    cellar.let_go("small")
    assert await waiting == "small"
    assert cellar.begun == ["first", "small"]


async def test_the_wait_for_memory_counts_as_time_in_the_queue(cellar: Cellar) -> None:
    await cellar.hold("first", MEMORY)
    call = Call("second", "test")
    second = await cellar.stand("second", 1, call)
    await asyncio.sleep(4 * SOON_S)

    cellar.let_go("first", "second")
    await second

    assert call.stages["queue"] >= 4000 * SOON_S


async def test_memory_comes_back_from_work_that_fails(cellar: Cellar) -> None:
    def fail(hold: Hold) -> str:
        with hold(MEMORY):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await cellar.queue.run_holding(Call("id", "test"), fail)

    assert cellar.queue.held == 0
