"""Which sizes are found to pay, on a device whose runs take the time that the test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from predictor import warmup
from predictor.batching import RunSize
from predictor.engines import Engine, Lane
from serving.contract import InputRules
from serving.v2 import Tensor, TensorSpec

from .graphs import HEIGHT, WIDTH

SIZES = RunSize((1, 2, 4, 8))
RULES = InputRules.model_validate({"height": HEIGHT, "width": WIDTH, "resize": {"rule": "stretch"}})

Seconds = Callable[[int, int], float]
"""The seconds of a run of a size, which is its how many-th (from 0)."""


class Clock(Lane):
    """A lane whose runs take the seconds that it is told, on a clock of their own."""

    def __init__(self, seconds: Seconds) -> None:
        super().__init__()
        self.now = 0.0
        self.runs: list[int] = []
        self._seconds = seconds

    def perf_counter(self) -> float:
        return self.now

    def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:
        size = inputs[0].shape[0]
        self.now += self._seconds(size, self.runs.count(size))
        self.runs.append(size)
        return tuple(Tensor(name, np.zeros((size, 1), np.float32)) for name in outputs)


class Device(Engine):
    platform = "test"
    inputs = (TensorSpec("pixels", "UINT8", (-1, HEIGHT, WIDTH, 3)),)
    outputs = (TensorSpec("y", "FP32", (-1, 1)),)
    device = "cpu"

    def open_lane(self) -> Lane:
        raise NotImplementedError


def warm(monkeypatch: pytest.MonkeyPatch, seconds: Seconds) -> tuple[int, Clock]:
    """Return the size that is found to be the best, and the lane."""
    lane = Clock(seconds)
    monkeypatch.setattr("time.perf_counter", lane.perf_counter)
    return warmup.warm_up(Device(), lane, SIZES, RULES).best, lane


def test_sizes_that_do_more_in_a_second_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    best, _ = warm(monkeypatch, lambda size, _: 0.010 + 0.001 * size)

    assert best == 8


def test_where_a_row_costs_a_row_larger_sizes_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    best, lane = warm(monkeypatch, lambda size, _: 0.005 * size)

    assert best == 1
    assert max(lane.runs) == 2


def test_a_size_that_paid_only_because_another_was_held_up_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    held_up = warmup.RUNS

    best, _ = warm(monkeypatch, lambda size, before: 0.012 if size == 1 and before < held_up else 0.005 * size)

    assert best == 1


def test_long_runs_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    best, lane = warm(monkeypatch, lambda size, _: 1.0 + 0.1 * size)

    assert best == 8
    assert lane.runs == [1, 1, 2, 2, 4, 4, 8, 8]
