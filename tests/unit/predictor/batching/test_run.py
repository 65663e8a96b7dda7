from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from predictor.batching import Batch, BatchRequest, Part, RunSize, run_batch, run_rows
from predictor.batching.run import Outcome
from predictor.engines import Lane
from serving.errors import DeviceLost, DeviceOutOfMemory, InferenceFailed
from serving.v2 import Tensor

from .virtual import POISON, EchoLane, rows

SIZES = RunSize((1, 2, 4, 8))


async def test_rows_of_several_requests_run_together_and_are_parted_again() -> None:
    lane = EchoLane()

    outcomes = run_batch(lane, SIZES, batch(4, rows(1), rows(2, 3), rows(4))).outcomes

    assert lane.runs == [[1, 2, 3, 4]]
    assert answers(outcomes) == [[2], [4, 6], [8]]


async def test_a_batch_is_filled_up_with_its_last_row() -> None:
    lane = EchoLane()

    outcomes = run_batch(lane, SIZES, batch(4, rows(1), rows(2))).outcomes

    assert lane.runs == [[1, 2, 2, 2]]
    assert answers(outcomes) == [[2], [4]]


async def test_a_request_that_fills_its_run_is_not_copied() -> None:
    class Seeing(EchoLane):
        def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
            self.seen = inputs[0].array
            return super().run(inputs, outputs)

    lane = Seeing()
    inputs = rows(1, 2)

    run_batch(lane, SIZES, batch(2, inputs))

    assert lane.seen is inputs[0].array


async def test_the_memory_of_a_batch_is_used_for_the_next_without_changing_what_was_given() -> None:
    lane = EchoLane()

    first = run_batch(lane, SIZES, batch(2, rows(1), rows(2))).outcomes
    second = run_batch(lane, SIZES, batch(2, rows(3), rows(4))).outcomes

    assert answers(first) == [[2], [4]]
    assert answers(second) == [[6], [8]]


async def test_a_row_at_fault_fails_alone() -> None:
    lane = EchoLane()

    outcomes = run_batch(lane, SIZES, batch(4, rows(1), rows(POISON), rows(3))).outcomes

    assert isinstance(outcomes[1].error, InferenceFailed)
    assert answers([outcomes[0], outcomes[2]]) == [[2], [6]]


async def test_a_run_that_failed_is_told_from_one_that_took_its_time() -> None:
    good = run_batch(EchoLane(), SIZES, batch(1, rows(1)))
    bad = run_batch(EchoLane(), SIZES, batch(1, rows(POISON)))

    assert (good.failed, bad.failed) == (False, True)


async def test_a_batch_without_memory_runs_in_smaller_ones() -> None:
    lane = EchoLane(memory=2)

    ran = run_batch(lane, SIZES, batch(4, rows(1), rows(2, 3, 4)))

    assert not ran.fitted
    assert lane.runs == [[1], [2, 3], [4]]
    pieces = [(outcome.part.start, outcome.part.stop) for outcome in ran.outcomes]
    assert pieces == [(0, 1), (0, 2), (2, 3)]
    assert answers(ran.outcomes) == [[2], [4, 6], [8]]


async def test_a_batch_is_made_smaller_only_once() -> None:
    ran = run_batch(EchoLane(memory=1), SIZES, batch(8, rows(*range(8))))

    assert [type(outcome.error) for outcome in ran.outcomes] == [DeviceOutOfMemory, DeviceOutOfMemory]


async def test_a_single_row_without_memory_is_told_so() -> None:
    ran = run_batch(EchoLane(memory=0), SIZES, batch(1, rows(1)))

    (outcome,) = ran.outcomes
    assert isinstance(outcome.error, DeviceOutOfMemory)
    assert not ran.fitted


async def test_a_lost_device_is_everybodys_error_and_nothing_is_tried_again() -> None:
    class Lost(Lane):
        runs = 0

        def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:  # noqa: ARG002
            self.runs += 1
            raise DeviceLost("gone")

    lane = Lost()

    outcomes = run_batch(lane, SIZES, batch(2, rows(1), rows(2))).outcomes

    assert [type(outcome.error) for outcome in outcomes] == [DeviceLost, DeviceLost]
    assert outcomes[0].error is not outcomes[1].error
    assert lane.runs == 1


async def test_a_model_that_gives_fewer_rows_than_it_got_has_failed() -> None:
    class Short(EchoLane):
        def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
            return tuple(Tensor(t.name, t.array[:-1]) for t in super().run(inputs, outputs))

    outcomes = run_batch(Short(), SIZES, batch(2, rows(1), rows(2))).outcomes

    for outcome in outcomes:
        assert isinstance(outcome.error, InferenceFailed)
        assert "its first axis is not the batch" in outcome.error.message


async def test_a_graph_whose_batch_is_fixed_gets_runs_of_that_size() -> None:
    lane = EchoLane()

    outcomes = run_batch(lane, RunSize((3,)), batch(3, rows(1))).outcomes

    assert lane.runs == [[1, 1, 1]]
    assert answers(outcomes) == [[2]]


def test_rows_here_and_now_are_cut_into_runs_and_joined() -> None:
    lane = EchoLane()

    (tensor,) = run_rows(lane, RunSize((1, 2)), rows(1, 2, 3, 4, 5), ["y"])

    assert lane.runs == [[1, 2], [3, 4], [5]]
    assert tensor.array[:, 0].astype(int).sum() == 30


@pytest.mark.parametrize(("rows_", "size"), [(1, 1), (3, 4), (8, 8), (9, 8)])
def test_a_size_holds_its_rows_where_one_does(rows_: int, size: int) -> None:
    assert SIZES.padded(rows_) == size


def batch(size: int, *inputs: tuple[Tensor, ...]) -> Batch:
    requests = [BatchRequest(each, ("y",)) for each in inputs]
    return Batch([Part(request, 0, request.rows) for request in requests], size)


def answers(outcomes: Sequence[Outcome]) -> list[list[int]]:
    return [list(map(int, np.ravel(outcome.answer[0].array))) for outcome in outcomes if outcome.answer]
