"""The transformer's picture of its predictor, against a real V2 server that changes its mind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from serving.admission import Admission, Bounds
from serving.call import Call
from serving.contract import ModelDirectory, load_model_directory
from serving.decoders.classification import TOP_CLASSES, TOP_SCORES
from serving.errors import ContractMismatch, DeadlineExceeded, ModelNotReady, PredictorFault
from serving.metrics import Metrics
from serving.queue import WorkQueue
from serving.sdk import pb
from transformer.backend import Backend
from transformer.client import connect
from transformer.settings import TransformerSettings

from .foreign import CLASSES, ForeignPredictor, foreign_predictor, refusal, response, zeros

ROW_BYTES = 224 * 224 * 3


@pytest.fixture
def foreign() -> Iterator[ForeignPredictor]:
    with foreign_predictor() as predictor:
        yield predictor


@pytest.fixture
def directory(model_dir: Path) -> ModelDirectory:
    return load_model_directory(model_dir)


@asynccontextmanager
async def backend_to(foreign: ForeignPredictor, directory: ModelDirectory, **settings: Any) -> AsyncIterator[Backend]:
    """A backend that has met the predictor."""
    parsed = TransformerSettings(model_name="m", predictor_host=foreign.target, **settings)
    metrics = Metrics("test")
    queue = WorkQueue("the decoder", 2, Admission("the decoder", Bounds(64, 2**30, 60), metrics.queue_of()))
    backend = Backend(
        connect(parsed),
        "m",
        directory,
        queue=queue,
        metrics=metrics,
        max_message_bytes=parsed.grpc_max_send_message_length,
    )
    try:
        await backend.meet(call())
        yield backend
    finally:
        await queue.close()
        await backend.close()


def call(limit_s: float = 20.0) -> Call:
    made = Call("an-id", "test")
    made.limit(limit_s)
    return made


def pixels(rows: int = 1) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (rows, 224, 224, 3), np.uint8))


def first_pixels(request: pb.ModelInferRequest, _: Any) -> pb.ModelInferResponse:
    """Answer each row's first numbers, so that rows can be told apart."""
    (raw,) = request.raw_input_contents
    rows = request.inputs[0].shape[0]
    numbers = np.frombuffer(raw, np.uint8).reshape(rows, -1)[:, :CLASSES].astype(np.float32)
    return response(np.ascontiguousarray(numbers))


def only(datatype: str, shape: tuple[int, ...]) -> Any:
    """Refuse every tensor but those of `datatype` and `shape`, as a predictor does."""

    def answer(request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        tensor = request.inputs[0]
        if tensor.datatype != datatype or tuple(tensor.shape[1:]) != shape[1:]:
            return refusal(grpc.StatusCode.INVALID_ARGUMENT, "TENSOR_INVALID: another")(request, context)
        return zeros(request, context)

    return answer


def become_unfused(foreign: ForeignPredictor) -> None:
    foreign.datatype, foreign.shape = "FP32", (-1, 3, 224, 224)
    foreign.answer = only(foreign.datatype, foreign.shape)


async def test_a_large_message_is_sent_again_too(foreign: ForeignPredictor, directory: ModelDirectory) -> None:
    left = [1]

    def once_away(request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        left[0] -= 1
        return zeros(request, context) if left[0] < 0 else refusal(grpc.StatusCode.UNAVAILABLE)(request, context)

    foreign.answer = once_away
    async with backend_to(foreign, directory) as backend:
        answered = await backend.infer(pixels(8), call())
    assert len(answered.pictures) == 8
    assert len(foreign.asked()) == 2


async def test_a_batch_over_the_message_limit_goes_in_parts(
    foreign: ForeignPredictor, directory: ModelDirectory
) -> None:
    foreign.answer = first_pixels
    rows = pixels(5)
    async with backend_to(foreign, directory, grpc_max_send_message_length=2 * ROW_BYTES + 2**17) as backend:
        answered = await backend.infer(rows, call())
    assert len(foreign.asked()) == 3
    best = [picture[TOP_CLASSES][0] for picture in answered.pictures]
    assert best == [int(np.argmax(row.reshape(-1)[:CLASSES])) for row in rows]


async def test_a_predictor_that_is_replaced_by_an_unfused_one_is_met_again_once(
    foreign: ForeignPredictor, directory: ModelDirectory
) -> None:
    async with backend_to(foreign, directory) as backend:
        become_unfused(foreign)
        met = len(foreign.asked("ModelMetadata"))
        answered = await asyncio.gather(*(backend.infer(pixels(), call()) for _ in range(6)))
    assert [answer.pictures[0][TOP_SCORES].shape for answer in answered] == [(CLASSES,)] * 6
    assert len(foreign.asked("ModelMetadata")) == met + 1


async def test_a_refusal_of_an_input_that_has_not_changed_stays_a_fault(
    foreign: ForeignPredictor, directory: ModelDirectory
) -> None:
    foreign.answer = refusal(grpc.StatusCode.INVALID_ARGUMENT, "no")
    async with backend_to(foreign, directory) as backend:
        with pytest.raises(PredictorFault, match="INVALID_ARGUMENT"):
            await backend.infer(pixels(), call())
    assert len(foreign.asked()) == 1


async def test_many_refusals_of_an_input_that_has_not_changed_are_not_sent_again(
    foreign: ForeignPredictor, directory: ModelDirectory
) -> None:
    foreign.answer = refusal(grpc.StatusCode.INVALID_ARGUMENT, "no")
    async with backend_to(foreign, directory) as backend:
        met = len(foreign.asked("ModelMetadata"))
        refused = await asyncio.gather(*(backend.infer(pixels(), call()) for _ in range(6)), return_exceptions=True)
    assert [type(each) for each in refused] == [PredictorFault] * 6
    assert len(foreign.asked()) == 6
    assert len(foreign.asked("ModelMetadata")) > met


async def test_a_predictor_in_trouble_is_not_asked_more_for_it(
    foreign: ForeignPredictor, directory: ModelDirectory
) -> None:
    foreign.answer = refusal(grpc.StatusCode.INTERNAL, "broken")
    async with backend_to(foreign, directory) as backend:
        met = len(foreign.asked("ModelMetadata"))
        with pytest.raises(PredictorFault):
            await backend.infer(pixels(), call())
    assert len(foreign.asked("ModelMetadata")) == met


async def test_another_contract_is_a_reason_not_to_be_ready_until_it_is_ours(
    foreign: ForeignPredictor, directory: ModelDirectory
) -> None:
    def answer_with(digest: str) -> Any:
        return lambda request, _: response(np.zeros((request.inputs[0].shape[0], CLASSES), np.float32), contract=digest)

    async with backend_to(foreign, directory) as backend:
        foreign.answer = answer_with("another")
        with pytest.raises(ContractMismatch):
            await backend.infer(pixels(), call())
        with pytest.raises(ContractMismatch):
            await backend.check(call())

        foreign.answer = answer_with(directory.digest)
        await backend.check(call())
        asked = len(foreign.asked())
        await backend.check(call())
    assert len(foreign.asked()) == asked


async def test_an_urgent_request_is_urgent_to_the_predictor_too(
    foreign: ForeignPredictor, directory: ModelDirectory
) -> None:
    priorities: list[int | None] = []

    def note(request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        given = request.parameters
        priorities.append(given["priority"].int64_param if "priority" in given else None)
        return zeros(request, context)

    foreign.answer = note
    async with backend_to(foreign, directory) as backend:
        await backend.infer(pixels(), call())
        urgent = call()
        urgent.urgent = True
        await backend.infer(pixels(), urgent)

    assert priorities == [None, 1]


async def test_a_predictor_that_was_not_met_gets_nothing(foreign: ForeignPredictor, directory: ModelDirectory) -> None:
    foreign.shape = (-1, 7)
    with pytest.raises(ModelNotReady, match="takes 'images' UINT8"):
        async with backend_to(foreign, directory):
            pass
    assert foreign.asked() == []


async def test_meeting_again_keeps_the_callers_deadline(foreign: ForeignPredictor, directory: ModelDirectory) -> None:
    foreign.answer = refusal(grpc.StatusCode.INVALID_ARGUMENT, "no")
    async with backend_to(foreign, directory) as backend:
        spent = call()
        spent.deadline = 0.0
        with pytest.raises(DeadlineExceeded):
            await backend.infer(pixels(), spent)
