from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from predictor.engines import Lane
from predictor.loading import Loaded, load
from predictor.metrics import PredictorMetrics
from predictor.model import PredictorModel
from predictor.settings import PredictorSettings
from serving.call import Call
from serving.contract import load_model_directory
from serving.errors import InferenceFailed, Overloaded, RequestInvalid, RequestTooLarge, TensorInvalid
from serving.v2 import InferRequest, ModelMetadata, RequestedOutput, Tensor, TensorSpec

from .graphs import HEIGHT, WIDTH, classifier, directory, identity, real_pixels, settings


def call() -> Call:
    return Call("id", "test")


def request(array: Any, name: str = "pixels", **others: Any) -> InferRequest:
    return InferRequest("m", (Tensor(name, array),), **others)


@pytest_asyncio.fixture
async def model(tmp_path: Path) -> AsyncIterator[PredictorModel]:
    model = PredictorModel(settings(directory(tmp_path, classifier()), max_queue_rows=4), PredictorMetrics())
    await model.open()
    yield model
    await model.close()


async def test_metadata_tells_inputs_and_outputs(model: PredictorModel) -> None:
    assert model.metadata() == ModelMetadata(
        "m",
        ("1",),
        "onnxruntime_onnx",
        (TensorSpec("pixels", "UINT8", (-1, HEIGHT, WIDTH, 3)),),
        (TensorSpec("logits", "FP32", (-1, 5)),),
    )


async def test_an_answer_carries_version_digest_and_the_requests_id(model: PredictorModel, tmp_path: Path) -> None:
    answer = await model.infer(request(real_pixels(2), id="7"), call())

    digest = load_model_directory(tmp_path).digest
    assert answer.parameters.items() >= {"model_version": "1", "contract": digest}.items()
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "1", "7")
    assert answer.output("logits").shape == (2, 5)


async def test_a_request_that_failed_is_out_of_memory_without_the_collector(model: PredictorModel) -> None:
    class Failing(Lane):
        def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:  # noqa: ARG002
            raise InferenceFailed("it fails") from ValueError(str(inputs))

    for lane in model._lanes:
        lane._lane = Failing()
    pixels = real_pixels(1).copy()
    held = weakref.ref(pixels)
    gc.disable()
    try:
        with suppress(InferenceFailed):  # pytest's own would keep the error, and its frames
            await model.infer(request(pixels), call())
            pytest.fail("it did not fail")
        del pixels
        async with asyncio.timeout(10):
            while held() is not None:  # noqa: ASYNC110  # the lane's thread lets go a moment later, and tells nobody
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_a_call_is_noted_with_rows_task_version_and_stages(model: PredictorModel) -> None:
    noted = call()

    await model.infer(request(real_pixels(3)), noted)

    assert (noted.rows, noted.task, noted.model_version) == (3, "raw", "1")
    assert noted.stages.keys() == {"queue", "compute"}


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (np.zeros((1, HEIGHT, WIDTH, 3), np.float32), "pixels"),
        (np.zeros((1, HEIGHT, WIDTH, 4), np.uint8), "pixels"),
        (np.zeros((1, 3, HEIGHT, WIDTH), np.uint8), "pixels"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "pixels"),
        (np.zeros((0, HEIGHT, WIDTH, 3), np.uint8), "pixels"),
        (np.zeros((1, HEIGHT, WIDTH, 3), np.uint8), "images"),
    ],
)
async def test_a_tensor_that_does_not_fit_is_refused(model: PredictorModel, array: Any, name: str) -> None:
    with pytest.raises(TensorInvalid):
        await model.infer(request(array, name), call())


async def test_an_output_that_is_not_there_is_refused(model: PredictorModel) -> None:
    with pytest.raises(RequestInvalid, match="no output 'boxes': it gives 'logits'"):
        await model.infer(request(real_pixels(), outputs=(RequestedOutput("boxes"),)), call())


async def test_more_rows_than_the_queue_holds_are_refused(model: PredictorModel) -> None:
    with pytest.raises(RequestTooLarge):
        await model.infer(request(real_pixels(5)), call())


async def test_rows_that_do_not_fit_behind_others_are_refused_and_the_others_are_served(
    model: PredictorModel,
) -> None:
    requests = [model.infer(request(real_pixels(2)), call()) for _ in range(12)]

    answers = await asyncio.gather(*requests, return_exceptions=True)

    kinds = {type(answer).__name__ for answer in answers}
    assert kinds == {"InferResponse", "Overloaded"}
    refused = next(answer for answer in answers if isinstance(answer, Overloaded))
    assert refused.retry_after_s == 1
    assert (await model.infer(request(real_pixels(4)), call())).output("logits").shape == (4, 5)


async def test_v1_takes_rows_as_nested_lists(model: PredictorModel) -> None:
    pixels = real_pixels(2)
    expected = (await model.infer(request(pixels), call())).output("logits").array

    for instances in (pixels.tolist(), [{"pixels": row} for row in pixels.tolist()]):
        answer = await model.predict({"instances": instances}, call())
        assert np.array_equal(np.stack(answer["predictions"]), expected)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"instances": []},
        {"instances": "text"},
        {"instances": [[1]]},
        {"instances": [{"image": 1}]},
        {"instances": [[[[1, 2, 3]] * WIDTH] * HEIGHT, [[[1, 2]] * WIDTH] * HEIGHT]},
        {"instances": [[[["a", "b", "c"]] * WIDTH] * HEIGHT]},
        {"instances": [[[[256, 0, 0]] * WIDTH] * HEIGHT]},
        {"instances": [[[[0.5, 0, 0]] * WIDTH] * HEIGHT]},
        {"instances": [None]},
    ],
)
async def test_v1_refuses_what_are_no_rows(model: PredictorModel, payload: dict[str, Any]) -> None:
    with pytest.raises((RequestInvalid, TensorInvalid)):
        await model.predict(payload, call())


async def test_half_precision_goes_in_and_out(tmp_path: Path) -> None:
    folder = directory(tmp_path, identity(datatype="FP16"), input__datatype="FP16")
    model = PredictorModel(settings(folder, fuse_input=False), PredictorMetrics())
    await model.open()
    array = np.linspace(-1, 1, 3 * HEIGHT * WIDTH, dtype=np.float16).reshape(1, 3, HEIGHT, WIDTH)

    answer = await model.infer(request(array, "images"), call())

    assert np.array_equal(answer.output("numbers").array, array)
    await model.close()


async def test_a_load_that_is_given_up_keeps_its_place_among_the_loads_until_its_thread_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, going_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def waiting(settings: PredictorSettings) -> Loaded:
        loop.call_soon_threadsafe(begun.set)
        going_on.wait(20)
        return load(settings)

    monkeypatch.setattr("predictor.model.load", waiting)
    loads = asyncio.Semaphore(1)
    model = PredictorModel(settings(directory(tmp_path, classifier())), PredictorMetrics(), loads=loads)
    opening = asyncio.create_task(model.open())
    await begun.wait()

    opening.cancel()
    await asyncio.wait((opening,))
    assert opening.cancelled()
    assert loads.locked()

    going_on.set()
    async with asyncio.timeout(20), loads:
        await model.close()
