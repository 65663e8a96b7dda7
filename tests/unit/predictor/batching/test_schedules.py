"""Random schedules on virtual time: whoever comes, goes, fails or is late, each caller gets what is its own."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from predictor.batching import Batcher, BatchRequest, Costs, Plan, RunSize
from predictor.batching.batcher import TICK_S
from predictor.batching.costs import DISPATCH_S
from predictor.batching.policy import Policy
from predictor.metrics import PredictorMetrics
from serving.errors import DeadlineExceeded, DeviceOutOfMemory, InferenceFailed, ServingError
from serving.v2 import Tensor
from tests.virtual_time import VirtualLoop, run_virtually

from .virtual import POISON, VirtualRunner

SCHEDULES = 10_000
MOMENT = 1e-9
"""What sums of floats may be apart."""

SHARES = 20
"""Tests that the schedules are spread over, so that a failure names a small range of seeds."""


@dataclass
class Client:
    """One request of a schedule, and what came of it."""

    number: int
    at: float
    values: list[int]
    width: int
    deadline_s: float | None
    leaves_after: float | None
    urgent: bool
    request: BatchRequest | None = None
    answer: tuple[Tensor, ...] | None = None
    error: BaseException | None = None
    left_at: float | None = None
    failed_at: float | None = None

    @property
    def poisoned(self) -> bool:
        return POISON in self.values

    def inputs(self) -> tuple[Tensor, ...]:
        return (Tensor("x", np.array(self.values, np.int64).reshape(-1, 1).repeat(self.width, axis=1)),)


@dataclass
class Schedule:
    """A batcher and its clients, drawn from a seed."""

    seed: int
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = random.Random(self.seed)  # noqa: S311  # reproducible, not secret
        self.sizes = draw.choice([(1,), (4,), (1, 2, 4), (1, 2, 4, 8), (1, 8), (1, 3, 5)])
        self.per_row = draw.choice([0.0, 0.001, 0.01])
        self.seconds = {size: draw.uniform(0.001, 0.02) + size * self.per_row for size in self.sizes}
        self.lanes = draw.randint(1, 3)
        self.max_delay_s = draw.choice([0.0, 0.0, 0.003, 0.02])
        self.adaptive = draw.random() < 0.5
        self.parallel = draw.random() < 0.5
        self.memory = draw.choice([2**31, 2**31, 2**31, 3])
        spread = draw.choice([0.0, 0.01, 0.1, 1.0])
        widths = draw.choice([1, 1, 2, 40])
        number = 0
        for index in range(draw.randint(1, 24)):
            count = draw.choice([1, 1, 1, 2, 3, 9])
            values = [POISON if draw.random() < 0.03 else number + offset for offset in range(count)]
            number += count
            self.clients.append(
                Client(
                    number=index,
                    at=draw.uniform(0, spread),
                    values=values,
                    width=draw.randint(1, widths),
                    deadline_s=draw.choice([None, None, 0.001, 0.02, 0.2]),
                    leaves_after=draw.choice([None, None, None, 0.0, 0.005, 0.05]),
                    urgent=draw.random() < 0.2,
                )
            )

    async def run(self, loop: VirtualLoop) -> None:
        """Run it to the end, and hold what happened against what is promised."""
        run_size = RunSize(self.sizes)
        runners = [VirtualRunner(loop, run_size, self.seconds, self.memory) for _ in range(self.lanes)]
        policy = Policy(Costs(self.seconds), self.max_delay_s, self.adaptive, self.parallel)
        meter = PredictorMetrics().runs_of("m", "1")
        batcher = Batcher(Plan(run_size, policy), runners, meter, loop.time)
        await asyncio.gather(*(self._visit(client, batcher, loop) for client in self.clients))
        await batcher.close()
        assert len(batcher._free) == self.lanes
        for client in self.clients:
            self._check(client)
        self._check_runs(runners)

    async def _visit(self, client: Client, batcher: Batcher, loop: VirtualLoop) -> None:
        await asyncio.sleep(client.at)
        deadline = None if client.deadline_s is None else loop.time() + client.deadline_s
        client.request = BatchRequest(client.inputs(), ("y",), deadline, client.urgent)
        asking = asyncio.ensure_future(batcher.run(client.request))
        if client.leaves_after is not None:
            done, _ = await asyncio.wait((asking,), timeout=client.leaves_after)
            if not done:
                client.left_at = loop.time()
                asking.cancel()
        try:
            client.answer = await asking
        except (ServingError, asyncio.CancelledError) as error:
            client.error = error
            client.failed_at = loop.time()

    def _check(self, client: Client) -> None:
        match client.error:
            case None:
                assert client.answer is not None
                (tensor,) = client.answer
                assert not client.poisoned
                expected = np.array(client.values, np.int64).reshape(-1, 1).repeat(client.width, axis=1) * 2
                assert tensor.name == "y"
                np.testing.assert_array_equal(tensor.array, expected)
            case InferenceFailed():
                assert client.poisoned, "a neighbour's fault"
            case DeadlineExceeded():
                assert client.deadline_s is not None
                assert client.failed_at is not None
                left_s = client.at + client.deadline_s - client.failed_at
                assert left_s < self.seconds[min(self.sizes)] + DISPATCH_S, "it could have been answered"
            case asyncio.CancelledError():
                assert client.left_at is not None
            case DeviceOutOfMemory():
                assert self.memory < max(self.sizes)
            case error:
                raise AssertionError(f"nothing explains {error!r}")

    def _check_runs(self, runners: list[VirtualRunner]) -> None:
        """None is run twice, none late, and none for whom nobody waited when its run began."""
        taken: dict[int, int] = {}
        by_request = {id(client.request): client for client in self.clients}
        ends: list[tuple[float, float]] = []
        for runner in runners:
            for at, batch in runner.started:
                ends.append((at, at + self.seconds[batch.size]))
                assert batch.rows <= batch.size
                assert len({part.request.key for part in batch.parts}) == 1
                for part in batch.parts:
                    client = by_request[id(part.request)]
                    taken[client.number] = taken.get(client.number, 0) + part.rows
                    assert client.left_at is None or at <= client.left_at
                    assert part.request.deadline is None or at < part.request.deadline
        for client in self.clients:
            assert taken.get(client.number, 0) <= len(client.values)
        self._check_delays(ends)

    def _check_delays(self, busy: list[tuple[float, float]]) -> None:
        """No row that was run waited longer than the delay and a tick in a time when a lane was free all along."""
        for client in self.clients:
            request = client.request
            assert request is not None
            if request.began is None:
                continue
            free_since = max(
                (end for _, end in busy if end <= request.began + MOMENT and self._all_busy(busy, end)), default=0.0
            )
            waited = request.began - max(request.arrived, free_since)
            assert waited <= self.max_delay_s + TICK_S + MOMENT, f"client {client.number} waited {waited}"

    def _all_busy(self, busy: list[tuple[float, float]], end: float) -> bool:
        """Whether every lane was busy just before `end`."""
        return sum(start < end - MOMENT and end <= stop + MOMENT for start, stop in busy) == self.lanes


@pytest.mark.parametrize("share", range(SHARES))
def test_every_caller_gets_its_own_answer_in_time_or_its_own_error(share: int) -> None:
    for seed in range(share, SCHEDULES, SHARES):
        schedule = Schedule(seed)
        try:
            run_virtually(schedule.run)
        except AssertionError as error:
            error.add_note(f"seed {seed}: {schedule}")
            raise
