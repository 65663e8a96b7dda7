from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper

from predictor.batching import RunSize, run_rows
from predictor.engines.binding import BoundLane
from predictor.engines.gate import Gate
from predictor.engines.memory import DeviceMemory
from predictor.engines.onnxruntime import SessionLane
from predictor.engines.session import Session
from serving.errors import DeviceLost, InferenceFailed
from serving.v2 import Tensor
from serving.v2.tensor import Array
from tests.unit.predictor.graphs import model, value

from .sessions import network, rows, session_of

OUTPUTS = ("scores", "best")


class CountingSession(Session):
    """A session that counts its runs, and whose bound runs can be made to go wrong."""

    def __init__(self, session: Session) -> None:
        self.__dict__.update(session.__dict__)
        self.plain: list[str | None] = []
        self.bound: list[str | None] = []
        self.threads: set[int] = set()
        self.wrong: Exception | None = None
        self.stale = False

    def run(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], options: ort.RunOptions | None = None
    ) -> tuple[Tensor, ...]:
        self.plain.append(graph_id(options))
        self.threads.add(threading.get_ident())
        return super().run(inputs, outputs, options)

    def run_bound(self, binding: ort.IOBinding, options: ort.RunOptions | None) -> None:
        self.bound.append(graph_id(options))
        self.threads.add(threading.get_ident())
        if self.wrong is not None:
            raise self.wrong
        if not self.stale:
            super().run_bound(binding, options)


def graph_id(options: ort.RunOptions | None) -> str | None:
    try:
        return None if options is None else str(options.get_run_config_entry("gpu_graph_id"))
    except RuntimeError:  # it says nothing of graphs
        return None


class Fixture:
    def __init__(self, *, records: bool = False, **others: Any) -> None:
        self.session = CountingSession(session_of(network(**others)))
        self.another = CountingSession(session_of(network(**others)))
        self.plain = SessionLane(session_of(network(**others)))
        reopen = (lambda: self.another) if records else None
        self.lane = BoundLane(self.session, DeviceMemory("cpu"), Gate(), reopen)

    def check(self, inputs: list[Tensor], outputs: Sequence[str] = OUTPUTS) -> tuple[Tensor, ...]:
        """Run on both lanes, which must give the same to the last bit."""
        answer, wanted = self.lane.run(inputs, outputs), self.plain.run(inputs, outputs)
        for one, other in zip(answer, wanted, strict=True):
            assert one.name == other.name
            assert one.array.dtype == other.array.dtype
            assert np.array_equal(one.array, other.array)
        return answer


@pytest.mark.parametrize("records", [False, True])
def test_bound_runs_give_what_plain_runs_give_to_the_last_bit(*, records: bool) -> None:
    fixture = Fixture(records=records)

    for seed in range(3):
        for size in (1, 2, 5):
            fixture.check(rows(size, seed))
    fixture.check(rows(2), ["best"])
    fixture.check(rows(2), ["best", "scores"])

    assert len(fixture.session.plain) == 5  # once for each shape and choice of outputs


def test_rows_that_fill_a_size_up_run_bound_and_do_not_reach_the_answer() -> None:
    fixture = Fixture()
    inputs = rows(3)

    answers = [run_rows(fixture.lane, RunSize((4,)), inputs, OUTPUTS) for _ in range(3)]

    wanted = run_rows(fixture.plain, RunSize((4,)), inputs, OUTPUTS)
    assert all(np.array_equal(answer[0].array, wanted[0].array) for answer in answers)
    assert answers[2][0].shape == (3, 32)
    assert len(fixture.session.bound) == 3


def test_an_answer_stays_as_it_is_while_other_rows_run() -> None:
    fixture = Fixture()
    fixture.check(rows(2, 0))
    (scores, best) = fixture.check(rows(2, 1))
    kept = scores.array.copy(), best.array.copy()

    fixture.check(rows(2, 2))

    assert np.array_equal(scores.array, kept[0])
    assert np.array_equal(best.array, kept[1])


def test_rows_that_are_not_contiguous_are_read_as_they_stand() -> None:
    fixture = Fixture()
    images, factor = rows(4)

    for _ in range(3):
        fixture.check([Tensor("images", images.array[::2, :, ::-1]), Tensor("factor", factor.array[::2])])


def test_what_is_first_met_once_the_model_serves_holds_no_memory_of_the_device() -> None:
    fixture = Fixture(sides="side")
    fixture.check(rows(2))
    fixture.lane.settle()
    fixture.session.bound.clear()

    for _ in range(2):
        fixture.check(rows(2, side=9))
        fixture.check(rows(3))
        fixture.check(rows(2), ["best", "scores"])
    assert fixture.session.bound == []

    fixture.check(rows(2))
    assert len(fixture.session.bound) == 1


def test_strings_and_outputs_of_any_length_are_run_without_bindings() -> None:
    texts = model(
        [helper.make_node("Identity", ["x"], ["y"])], [value("x", ["n"], "BYTES")], [value("y", ["n"], "BYTES")]
    )
    found = model([helper.make_node("NonZero", ["x"], ["y"])], [value("x", ["n", 2])], [value("y", [2, "k"], "INT64")])
    strings = Tensor("x", np.array(["a", "b"], dtype=object))
    for graph, tensors in ((texts, [strings, strings]), (found, [numbers(0, 1), numbers(1, 1)])):
        session = CountingSession(session_of(graph))
        lane = BoundLane(session, DeviceMemory("cpu"), Gate())
        for tensor in (*tensors, *tensors):
            assert np.array_equal(lane.run([tensor], ["y"])[0].array, session.run([tensor], ["y"])[0].array)
        assert session.bound == []


def numbers(*values: float) -> Tensor:
    return Tensor("x", np.array([values], np.float32))


def test_an_output_whose_length_is_another_than_the_graph_says_is_not_bound_any_more() -> None:
    """As many rows come out as there are numbers over 0, which the exporter took for the batch."""
    nodes = [helper.make_node("Greater", ["x", "zero"], ["over"]), helper.make_node("Compress", ["x", "over"], ["y"])]
    graph = model(nodes, [value("x", ["n"])], [value("y", ["n"])], zero=np.zeros(1, np.float32))
    session = CountingSession(session_of(graph))
    lane = BoundLane(session, DeviceMemory("cpu"), Gate())

    def run(*values: float) -> Array:
        return lane.run([Tensor("x", np.array(values, np.float32))], ["y"])[0].array

    assert run(1, 2).tolist() == run(1, 2).tolist() == [1, 2]
    assert run(1, -1).tolist() == [1]
    bound = len(session.bound)
    assert run(3, -1).tolist() == [3]
    assert len(session.bound) == bound


def test_rows_that_the_model_refuses_are_refused_with_a_binding_too() -> None:
    nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
    graph = model(nodes, [value("x", ["n"], "INT64")], [value("y", ["n"])], table=np.arange(4, dtype=np.float32))
    lane = BoundLane(session_of(graph), DeviceMemory("cpu"), Gate())
    good, bad = Tensor("x", np.array([1, 2])), Tensor("x", np.array([1, 9]))

    for tensor in (good, good):
        assert lane.run([tensor], ["y"])[0].array.tolist() == [1, 2]
    for _ in range(2):
        with pytest.raises(InferenceFailed, match="indices element"):
            lane.run([bad], ["y"])
    assert lane.run([good], ["y"])[0].array.tolist() == [1, 2]


def test_each_shape_is_recorded_under_an_id_of_its_own_and_plain_runs_under_none() -> None:
    fixture = Fixture(records=True)

    for size in (1, 2, 1, 2):
        fixture.check(rows(size))

    assert fixture.session.plain == ["-1", "-1"]
    assert fixture.session.bound == ["0", "0", "1", "1", "0", "1"]


def test_a_lane_that_records_runs_on_one_thread_whoever_asks() -> None:
    fixture = Fixture(records=True)

    fixture.check(rows(2))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(fixture.check, rows(2)).result()

    assert len(fixture.session.threads) == 1
    assert threading.get_ident() not in fixture.session.threads


def test_a_lanes_thread_ends_with_it() -> None:
    def recording() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "cuda-graphs"]

    before = recording()
    fixture = Fixture(records=True)
    (ours,) = (thread for thread in recording() if thread not in before)
    fixture.check(rows(1))

    del fixture
    gc.collect()

    ours.join(10)
    assert not ours.is_alive()


def test_a_recording_that_fails_is_given_up_for_a_session_that_records_nothing() -> None:
    fixture = Fixture(records=True)
    fixture.session.wrong = RuntimeError("CUDA failure 901: operation failed due to a previous error during capture")

    for _ in range(3):
        fixture.check(rows(2))

    assert fixture.another.bound == [None, None, None]


def test_a_replay_that_gives_something_else_is_given_up() -> None:
    fixture = Fixture(records=True)
    fixture.session.stale = True

    for _ in range(3):
        fixture.check(rows(2))

    assert fixture.another.bound == [None, None, None]


def test_nothing_is_recorded_once_the_model_serves() -> None:
    fixture = Fixture(records=True)
    fixture.check(rows(1))
    fixture.lane.settle()

    fixture.check(rows(2))
    fixture.check(rows(2))
    fixture.check(rows(1))

    assert fixture.session.bound == ["0", "0", "0"]


def test_a_device_that_is_lost_in_a_bound_run_is_not_asked_again() -> None:
    fixture = Fixture()
    fixture.check(rows(2))
    fixture.session.wrong = RuntimeError("CUDA failure 700: an illegal memory access was encountered")

    with pytest.raises(DeviceLost):
        fixture.lane.run(rows(2), OUTPUTS)

    assert len(fixture.session.plain) == 1


def test_memory_is_given_back_but_not_under_recordings() -> None:
    for records, runs in ((False, 2), (True, 1)):
        fixture = Fixture(records=records)
        fixture.check(rows(1))
        fixture.session.plain.clear()
        fixture.lane.trim(rows(1), OUTPUTS)
        fixture.lane.run(rows(3), OUTPUTS)
        assert len(fixture.session.plain) == runs
