"""The seam without a wire: what goes through it, and what does not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from edge.client import DirectClient
from predictor.batching import Batch, Ran
from predictor.batching.run import run_batch
from predictor.metrics import PredictorMetrics
from predictor.model import PredictorModel
from serving import errors
from serving.call import Call
from serving.errors import (
    DeadlineExceeded,
    DeviceOutOfMemory,
    InferenceFailed,
    ModelNotReady,
    Overloaded,
    PredictorFault,
    PredictorUnavailable,
    ServingError,
)
from serving.v2 import InferRequest, Tensor
from tests.unit.predictor.graphs import HEIGHT, WIDTH, classifier, directory, real_pixels, settings
from tests.unit.transformer.foreign import ForeignPredictor, foreign_predictor, refusal
from transformer.client import connect
from transformer.settings import TransformerSettings

PATIENCE_S = 20.0


def call() -> Call:
    return Call("an-id", "test")


def request(pixels: Any) -> InferRequest:
    return InferRequest("m", (Tensor("pixels", pixels),), id="7")


@dataclass
class Gate:
    """Sees every run, and holds it on its thread until the test opens the gate."""

    open: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    batches: list[Batch] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)

    def run(self, lane: Any, run_size: Any, batch: Batch) -> Ran:
        self.batches.append(batch)
        self.begun.release()
        assert self.open.wait(PATIENCE_S)
        self.ran.append(run_batch(lane, run_size, batch))
        return self.ran[-1]

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE_S)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr("predictor.batching.lanes.run_batch", gate.run)
    return gate


@pytest_asyncio.fixture
async def client(tmp_path: Path, gate: Gate) -> AsyncIterator[DirectClient]:
    """A client of a small classifier with one lane, which is opened."""
    own = settings(directory(tmp_path, classifier()), instances=1, max_queue_rows=4)
    client = DirectClient(PredictorModel(own, PredictorMetrics()))
    await client.open()
    yield client
    gate.open.set()
    await client.close()


async def test_the_model_reads_the_callers_pixels_and_the_caller_gets_the_models_outputs(
    client: DirectClient, gate: Gate
) -> None:
    gate.open.set()
    pixels = real_pixels(2)
    before = pixels.copy()

    answer = await client.infer(request(pixels[:1]), call())

    (batch,), (ran,) = gate.batches, gate.ran
    (given,) = batch.parts[0].inputs
    outcome = ran.outcomes[0].answer
    assert outcome is not None
    assert given.array.__array_interface__["data"][0] == pixels.__array_interface__["data"][0]
    assert answer.output("logits").array is outcome[0].array
    assert np.array_equal(pixels, before)
    assert (answer.id, answer.model_version) == ("7", "1")


async def test_the_predictors_rows_and_stages_are_not_those_of_the_callers_request(
    client: DirectClient, gate: Gate
) -> None:
    gate.open.set()
    asked = call()
    asked.rows = 7
    asked.stages["queue"] = 1.5

    answer = await client.infer(request(real_pixels()), asked)

    assert (asked.rows, asked.stages) == (7, {"queue": 1.5})
    assert {"queue", "compute"} <= answer.timings.keys()


async def test_what_is_cancelled_while_it_waits_never_runs(client: DirectClient, gate: Gate) -> None:
    first = asyncio.create_task(client.infer(request(real_pixels()), call()))
    await gate.until_begun()
    second = asyncio.create_task(client.infer(request(real_pixels()), call()))
    await asyncio.sleep(0)
    third = asyncio.create_task(client.infer(request(real_pixels(3)[2:]), call()))
    await asyncio.sleep(0)

    second.cancel()
    gate.open.set()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(first, third)

    assert second.cancelled()
    assert sum(batch.rows for batch in gate.batches) == 2


async def test_what_is_too_late_never_runs(client: DirectClient, gate: Gate) -> None:
    first = asyncio.create_task(client.infer(request(real_pixels()), call()))
    await gate.until_begun()
    late = call()
    late.limit(0.05)
    with pytest.raises(DeadlineExceeded, match="busy for all of the time"):
        await client.infer(request(real_pixels()), late)

    gate.open.set()
    async with asyncio.timeout(PATIENCE_S):
        await first

    assert [batch.rows for batch in gate.batches] == [1]


async def test_a_full_queue_is_told_as_it_is(client: DirectClient, gate: Gate) -> None:
    first = asyncio.create_task(client.infer(request(real_pixels(4)), call()))
    await gate.until_begun()
    with pytest.raises(Overloaded, match="MAX_QUEUE_ROWS") as caught:
        await client.infer(request(real_pixels()), call())
    assert caught.value.retry_after_s == 1
    gate.open.set()
    await first


async def test_a_tensor_that_does_not_fit_is_a_fault_between_the_halves(client: DirectClient) -> None:
    with pytest.raises(PredictorFault, match="TENSOR_INVALID: input 'pixels' has the shape") as caught:
        await client.infer(request(np.zeros((1, HEIGHT + 1, WIDTH, 3), np.uint8)), call())
    assert caught.value.details == {"refused": True}


async def test_a_model_that_is_closed_is_not_there(tmp_path: Path) -> None:
    client = DirectClient(PredictorModel(settings(directory(tmp_path, classifier())), PredictorMetrics()))
    with pytest.raises(PredictorUnavailable, match="is loading"):
        await client.check_ready("m", call())
    await client.open()
    await client.check_ready("m", call())
    assert (await client.metadata("m", call())).inputs[0].name == "pixels"
    await client.close()

    for asking in (client.infer(request(real_pixels()), call()), client.check_ready("m", call())):
        with pytest.raises(PredictorUnavailable, match="is being unloaded") as caught:
            await asking
        assert caught.value.details == {"predictor_code": ModelNotReady.code}


@pytest.fixture(scope="module")
def foreign() -> Iterator[ForeignPredictor]:
    with foreign_predictor() as predictor:
        yield predictor


def raised() -> list[type[ServingError]]:
    """Every error of the tree that has a code of its own."""
    pending, found = [ServingError], []
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if "code" in vars(kind):
            found.append(kind)
    assert {errors.InternalError, errors.Overloaded, errors.TensorInvalid} <= set(found)
    return found


@pytest.mark.parametrize("kind", raised(), ids=lambda kind: kind.__name__)
async def test_every_error_means_what_it_would_mean_over_grpc(
    foreign: ForeignPredictor, kind: type[ServingError], client: DirectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks_to_return = kind in (Overloaded, DeviceOutOfMemory)
    error = kind("what is wrong", retry_after_s=1) if asks_to_return else kind("what is wrong")
    foreign.answer = refusal(error.grpc_status, str(error), ("error-code", error.code))
    wired = connect(
        TransformerSettings(
            predictor_host=foreign.target,
            predictor_protocol="grpc-v2",
            model_name="m",
            predictor_request_retries=0,
        )
    )
    with pytest.raises(ServingError) as over_grpc:
        await wired.infer(request(np.zeros((1, 224, 224, 3), np.uint8)), call())
    await wired.close()

    def refuse() -> None:
        raise error

    monkeypatch.setattr(client.model, "check", refuse)
    with pytest.raises(ServingError) as direct:
        await client.infer(request(real_pixels()), call())
    here = direct.value

    assert type(here) is type(over_grpc.value)
    assert here.details == over_grpc.value.details
    assert here.retry_after_s == over_grpc.value.retry_after_s
    assert isinstance(here, DeadlineExceeded) or str(error) in str(here)


async def test_an_error_keeps_its_cause(client: DirectClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Ran:
        raise InferenceFailed("the run failed")

    monkeypatch.setattr("predictor.batching.lanes.run_batch", fails)
    with pytest.raises(PredictorFault, match="INFERENCE_FAILED: the run failed") as caught:
        await client.infer(request(real_pixels()), call())
    assert isinstance(caught.value.__cause__, InferenceFailed)
