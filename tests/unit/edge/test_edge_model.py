"""One version with both halves: opened from below, closed from above."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.model import EdgeModel
from edge.settings import EdgeSettings
from predictor.batching import Batch, Ran
from predictor.batching.run import run_batch
from predictor.metrics import PredictorMetrics
from predictor.model import places_to_load
from serving.admission import Admission
from serving.call import Call
from serving.contract.repository import VersionFolder
from serving.errors import DeviceLost, ModelLoadFailed, PredictorUnavailable
from serving.queue import WorkQueue
from serving.server.model import State
from serving.v2 import InferRequest, Tensor
from tests.photos import encoded, photo
from tests.unit.predictor.graphs import classifier, directory

PATIENCE_S = 20.0
LABELS = "ant\nbee\ncow\ndog\neel\n"


def call() -> Call:
    return Call("an-id", "test")


def picture() -> bytes:
    return encoded(photo("chelsea"), "PNG")


def good(folder: Path) -> Path:
    return directory(folder, classifier(), labels=LABELS)


@asynccontextmanager
async def queue_of(settings: EdgeSettings, metrics: PredictorMetrics) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue("the decoder", 1, Admission("the decoder", settings.bounds, metrics.queue_of()))
    yield queue
    await queue.close()


@asynccontextmanager
async def model_of(folder: Path, **others: Any) -> AsyncIterator[tuple[EdgeModel, WorkQueue]]:
    """A version of `folder`, still to be opened, and the decoder's queue."""
    settings = EdgeSettings(model_dir=folder, model_name="m", num_threads=1, instances=1, **others)
    metrics = PredictorMetrics("edge")
    async with queue_of(settings, metrics) as queue:
        yield EdgeModel(settings, metrics, queue, VersionFolder("m", folder), loads=places_to_load(settings)), queue


async def test_pictures_are_answered_once_it_is_open(tmp_path: Path) -> None:
    async with model_of(good(tmp_path)) as (model, _):
        await model.open()
        asked = call()

        answered = await model.answer([picture(), picture()], {"top_k": 1}, asked)

        assert len(answered.answers) == 2
        assert answered.model_version == "1"
        assert asked.stages.keys() >= {"queue", "preprocess", "predictor", "predictor_queue", "compute", "postprocess"}
        assert (await model.infer(pictures(), call())).parameters["task"] == "classification"
        await model.close()


def pictures() -> InferRequest:
    return InferRequest("m", (Tensor("image", np.array([picture()], object)),))


def no_graph(folder: Path) -> Path:
    return directory(folder, b"<html>", labels=LABELS)


def too_few_labels(folder: Path) -> Path:
    return directory(folder, classifier(), labels="ant\nbee\n")


def typo(folder: Path) -> Path:
    contract = good(folder) / "model.yaml"
    contract.write_text(contract.read_text().replace("resize:", "resise:"))
    return folder


def no_numbers(folder: Path) -> Path:
    """A graph that gives NaN, which only the half above looks for."""
    graph = classifier()
    weights = graph.graph.initializer[0]
    spoilt = np.full_like(numpy_helper.to_array(weights), np.nan)
    weights.CopyFrom(numpy_helper.from_array(spoilt, weights.name))
    assert isinstance(graph, onnx.ModelProto)
    return directory(folder, graph, labels=LABELS)


@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize(
    ("write", "said"),
    [
        (no_graph, "model.onnx is not an ONNX model"),
        (too_few_labels, "the contract has 2 labels; the graph's output has 5 classes"),
        (typo, "did you mean resize?"),
        (no_numbers, "the path cannot be warmed up: PREDICTOR_FAULT: .*not finite numbers"),
    ],
)
async def test_what_cannot_be_served_fails_with_its_own_words_and_waits_for_nobody(
    tmp_path: Path, write: Callable[[Path], Path], said: str, *, patient: bool
) -> None:
    async with model_of(write(tmp_path)) as (model, _), asyncio.timeout(PATIENCE_S):
        with pytest.raises(ModelLoadFailed, match=said):
            await model.open(patient=patient)
        await model.close()


async def until_it_waits(model: EdgeModel) -> None:
    while "OVERLOADED" not in model.reason:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0)


async def test_a_model_that_is_loaded_while_the_decoder_is_busy_waits_for_it(tmp_path: Path) -> None:
    async with model_of(good(tmp_path), max_queue_rows=2) as (model, queue), asyncio.timeout(PATIENCE_S):
        with queue.admit(2):
            opening = asyncio.create_task(model.open(patient=False))
            await until_it_waits(model)
            assert not opening.done()
        await opening
        await model.close()


class Held:
    """Holds every run on its thread until the test lets it go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def run(self, lane: Any, run_size: Any, batch: Batch) -> Ran:
        self.begun.set()
        assert self.open.wait(PATIENCE_S)
        return run_batch(lane, run_size, batch)


async def test_a_run_that_was_begun_is_waited_for_and_answered_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with model_of(good(tmp_path)) as (model, _), asyncio.timeout(PATIENCE_S):
        await model.open()
        held = Held()
        monkeypatch.setattr("predictor.batching.lanes.run_batch", held.run)
        answering = asyncio.create_task(model.answer([picture()], {}, call()))
        assert await asyncio.to_thread(held.begun.wait, PATIENCE_S)

        closing = asyncio.create_task(model.close())
        await asyncio.sleep(0)
        with pytest.raises(PredictorUnavailable, match="is being unloaded"):
            await model.answer([picture()], {}, call())
        held.open.set()
        await closing

        assert len((await answering).answers) == 1


async def test_a_load_that_is_given_up_lets_both_halves_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    async with model_of(good(tmp_path), max_queue_rows=1) as (model, queue), asyncio.timeout(PATIENCE_S):
        with queue.admit(1):
            opening = asyncio.create_task(model.open())
            await until_it_waits(model)
            opening.cancel()
            await asyncio.wait([opening])
        monkeypatch.setattr("predictor.batching.lanes.run_batch", held.run)
        await model.close()

        assert model.state is State.LOADING
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("m-")]


async def test_a_lost_device_is_the_whole_versions_fate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object) -> Ran:
        raise DeviceLost("the device is gone")

    async with model_of(good(tmp_path)) as (model, _):
        await model.open()
        model.state = State.READY
        model.check()
        monkeypatch.setattr("predictor.batching.lanes.run_batch", lose)

        with pytest.raises(PredictorUnavailable, match="DEVICE_LOST: the device is gone"):
            await model.answer([picture()], {}, call())

        assert model.lost is not None
        with pytest.raises(DeviceLost):
            model.check()
        await model.close()
