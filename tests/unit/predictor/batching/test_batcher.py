from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from predictor.batching import Batch, Batcher, BatchRequest, Costs, Plan, Policy, Ran, RunSize
from predictor.metrics import PredictorMetrics
from serving.errors import DeadlineExceeded, InferenceFailed, InternalError, ModelNotReady
from serving.v2 import Tensor
from tests.virtual_time import VirtualLoop, run_virtually

from .virtual import EchoLane, VirtualRunner, rows

GPU = {1: 0.010, 2: 0.0105, 4: 0.011}


class Set:
    """A batcher with lanes on virtual time."""

    def __init__(self, loop: VirtualLoop, lanes: int = 1, max_delay_s: float = 0.0) -> None:
        self.loop = loop
        run_size = RunSize(tuple(GPU))
        self.metrics = PredictorMetrics()
        self.runners = [VirtualRunner(loop, run_size, GPU) for _ in range(lanes)]
        self.batcher = Batcher(
            Plan(run_size, Policy(Costs(GPU), max_delay_s)), self.runners, self.metrics.runs_of("m", "1"), loop.time
        )

    def ask(self, *values: int, deadline: float | None = None, urgent: bool = False) -> asyncio.Task[list[int]]:
        async def asked() -> list[int]:
            (tensor,) = await self.batcher.run(BatchRequest(rows(*values), ("y",), deadline, urgent))
            return [int(value) for value in tensor.array[:, 0]]

        return asyncio.create_task(asked())

    @property
    def runs(self) -> list[list[int]]:
        return [run for runner in self.runners for run in runner.lane.runs]

    def count(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"kserve_vision_{name}", {"model": "m", "version": "1"})


def virtually(scenario: Callable[[VirtualLoop], object]) -> None:
    run_virtually(scenario)  # type: ignore[arg-type]


def test_requests_that_arrive_together_run_together() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        first, second, third = await asyncio.gather(made.ask(1), made.ask(2), made.ask(3))
        assert (first, second, third) == ([2], [4], [6])
        assert made.runs == [[1, 2, 3, 3]]
        await made.batcher.close()

    virtually(scenario)


def test_rows_that_arrive_during_a_run_are_the_next_batch() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        first = made.ask(1)
        await asyncio.sleep(0.001)
        second, third = made.ask(2), made.ask(3)
        await asyncio.gather(first, second, third)
        assert made.runs == [[1], [2, 3]]
        await made.batcher.close()

    virtually(scenario)


def test_a_large_request_is_cut_joined_and_lets_a_small_one_through() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        large = made.ask(*range(16))
        await asyncio.sleep(0.001)
        small = made.ask(99)
        done, _ = await asyncio.wait((large, small), return_when=asyncio.FIRST_COMPLETED)
        assert done == {small}
        assert await large == [2 * value for value in range(16)]
        await made.batcher.close()

    virtually(scenario)


def test_the_urgent_go_first() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        running = made.ask(0)
        await asyncio.sleep(0.001)
        waiting = [made.ask(value) for value in range(1, 5)]
        urgent = made.ask(9, urgent=True)
        await asyncio.gather(running, *waiting, urgent)
        assert made.runs[1] == [9, 1, 2, 3]
        await made.batcher.close()

    virtually(scenario)


def test_a_request_whose_caller_has_gone_never_reaches_the_device() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        running = made.ask(1)
        await asyncio.sleep(0.001)
        gone = made.ask(2)
        await asyncio.sleep(0)
        gone.cancel()
        await running
        await asyncio.sleep(0.1)
        assert made.runs == [[1]]
        await made.batcher.close()

    virtually(scenario)


def test_a_deadline_that_no_run_could_make_is_refused_before_it_runs() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        with pytest.raises(DeadlineExceeded, match="it was not begun"):
            await made.ask(1, deadline=loop.time() + 0.005)
        assert made.runs == []
        await made.batcher.close()

    virtually(scenario)


def test_a_deadline_that_passes_in_line_or_during_the_run_is_told_apart() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        made.runners[0]._seconds = dict.fromkeys(GPU, 0.1)  # slower than it ever was
        running = made.ask(1, deadline=loop.time() + 0.02)
        await asyncio.sleep(0.001)
        waiting = made.ask(2, deadline=loop.time() + 0.02)
        with pytest.raises(DeadlineExceeded, match="did not finish"):
            await running
        with pytest.raises(DeadlineExceeded, match="was busy"):
            await waiting
        await made.batcher.close()
        assert made.runs == [[1]]

    virtually(scenario)


def test_closing_refuses_who_waits_and_answers_who_runs() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        running = made.ask(1)
        await asyncio.sleep(0.001)
        waiting = made.ask(2)
        await asyncio.sleep(0)
        await made.batcher.close()
        assert await running == [2]
        with pytest.raises(ModelNotReady):
            await waiting
        with pytest.raises(ModelNotReady):
            await made.ask(3)

    virtually(scenario)


def test_a_bug_in_a_lane_is_told_to_those_in_the_run_and_the_lane_goes_on() -> None:
    class Buggy:
        broken = True

        def __init__(self, lane: VirtualRunner) -> None:
            self._lane = lane

        def start(self, batch: Batch, done: Callable[[Ran | None, Exception | None], None]) -> None:
            if self.broken:
                self.broken = False
                asyncio.get_running_loop().call_soon(done, None, ZeroDivisionError("a bug"))
            else:
                self._lane.start(batch, done)

    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        made.batcher._free[:] = [Buggy(made.runners[0])]
        with pytest.raises(ZeroDivisionError):
            await made.ask(1)
        assert await made.ask(2) == [4]
        assert made.count("running_rows") == 0
        await made.batcher.close()

    virtually(scenario)


def test_a_bug_in_the_owner_is_told_to_everybody_and_the_batcher_begins_anew() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop, lanes=2)
        running = made.ask(1)
        await asyncio.sleep(0.001)
        plan = made.batcher._plan
        made.batcher._plan = None  # type: ignore[assignment]
        waiting = made.ask(2)
        for each in (running, waiting):
            with pytest.raises(InternalError):
                await each
        made.batcher._plan = plan
        assert await asyncio.gather(*(made.ask(value) for value in range(5))) == [[2 * value] for value in range(5)]
        await made.batcher.close()

    virtually(scenario)


def test_requests_of_many_shapes_at_once_are_all_answered() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        inputs = [(Tensor("x", np.full((1, width), width)),) for width in range(1, 40)]
        answers = await asyncio.gather(*(made.batcher.run(BatchRequest(each, ("y",))) for each in inputs))
        assert [answer[0].array[0, 0] for answer in answers] == [2 * width for width in range(1, 40)]
        await made.batcher.close()

    virtually(scenario)


def test_answers_that_cannot_be_joined_fail_their_request_alone() -> None:
    class Widening(EchoLane):
        """Gives as many columns as it has had runs."""

        def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
            (tensor,) = super().run(inputs, outputs)
            return (Tensor(tensor.name, tensor.array.repeat(len(self.runs), axis=1)),)

    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        made.runners[0].lane = Widening()
        with pytest.raises(InferenceFailed, match="cannot be joined"):
            await made.ask(*range(6))
        assert await made.ask(1) == [2]
        await made.batcher.close()

    virtually(scenario)


def test_a_run_that_hangs_does_not_keep_the_batcher_from_closing() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        made.runners[0]._seconds = dict.fromkeys(GPU, 1e6)
        hanging = made.ask(1, deadline=loop.time() + 1.0)
        with pytest.raises(DeadlineExceeded):
            await hanging
        began = loop.time()
        await made.batcher.close(patience_s=5.0)
        assert loop.time() - began == pytest.approx(5.0)

    virtually(scenario)


def test_a_stream_of_urgent_rows_keeps_nobody_out_for_ever() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)

        async def urgently() -> None:
            while True:
                await asyncio.gather(*(made.ask(9, urgent=True) for _ in range(8)))

        pressing = [asyncio.create_task(urgently()) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert await made.ask(1) == [2]
        assert 0.5 < loop.time() < 1.0
        for each in pressing:
            each.cancel()
        await asyncio.wait(pressing)
        await made.batcher.close()

    virtually(scenario)


def test_runs_rows_and_padding_are_counted() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        running = [made.ask(value) for value in range(3)]
        await asyncio.sleep(0.001)
        assert made.count("running_rows") == 3
        await asyncio.gather(*running)
        assert (made.count("run_rows_count"), made.count("run_rows_sum")) == (1, 3)
        assert made.count("padding_rows_total") == 1
        assert made.count("running_rows") == 0
        await made.batcher.close()

    virtually(scenario)


def test_waiting_and_running_are_told_apart() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        first = made.ask(1)
        await asyncio.sleep(0.004)
        request = BatchRequest(rows(2), ("y",))
        await asyncio.gather(first, made.batcher.run(request))
        assert request.waited_s == pytest.approx(0.006)
        assert request.ran_s == pytest.approx(0.010)
        await made.batcher.close()

    virtually(scenario)


def test_a_thousand_shapes_leave_no_lines_behind() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        made = Set(loop)
        for width in range(1, 1000):
            inputs = (Tensor("x", np.zeros((1, width))),)
            await made.batcher.run(BatchRequest(inputs, ("y",)))
        assert len(made.batcher._lines._lines) < 20
        await made.batcher.close()

    virtually(scenario)
