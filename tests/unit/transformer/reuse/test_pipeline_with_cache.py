"""The path of a picture that was asked of before, in front of a real V2 server."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.admission import Admission
from serving.call import Call
from serving.contract import load_model_directory
from serving.contract.repository import VersionFolder
from serving.errors import ImageUnsupported, Overloaded
from serving.metrics import Metrics
from serving.queue import WorkQueue
from tests.photos import encoded, photo
from tests.unit.transformer.foreign import CLASSES, ForeignPredictor, foreign_predictor, response
from transformer.client import connect
from transformer.model import WARM_UP_ROUNDS, TransformerModel, make_pipeline
from transformer.pipeline import Pipeline
from transformer.reuse import Reuse
from transformer.reuse.content import QUICK_BYTES
from transformer.settings import TransformerSettings
from transformer.tasks.classification import Classification, ClassificationOptions

ROWS = 4


@pytest.fixture
def foreign() -> Iterator[ForeignPredictor]:
    def brightest(request: Any, _: Any) -> Any:
        (raw,) = request.raw_input_contents
        rows = request.inputs[0].shape[0]
        first = np.frombuffer(raw, np.uint8).reshape(rows, -1)[:, :CLASSES]
        return response(np.ascontiguousarray(first, np.float32) / 16)

    with foreign_predictor(ForeignPredictor(answer=brightest)) as predictor:
        yield predictor


@pytest.fixture
def cat() -> bytes:
    return encoded(photo("chelsea"), "JPEG")


@asynccontextmanager
async def pipeline_to(foreign: ForeignPredictor, model_dir: Path) -> AsyncIterator[Pipeline]:
    settings = TransformerSettings(
        model_name="m", model_dir=model_dir, predictor_host=foreign.target, cache_mb=1, max_queue_rows=ROWS
    )
    metrics = Metrics("test")
    reuse = Reuse.of(settings, metrics.registry)
    assert reuse is not None
    directory = load_model_directory(model_dir)
    admission = Admission("the decoder", settings.bounds, metrics.queue_of())
    queue = WorkQueue("the decoder", 2, admission)
    client = connect(settings)
    sharing = reuse.sharing("m", directory.digest)
    pipeline = make_pipeline(directory, client, queue, settings, metrics, sharing=sharing)
    try:
        await pipeline.backend.meet(call())
        yield pipeline
    finally:
        await queue.close()
        await client.close()


def call() -> Call:
    made = Call("an-id", "test")
    made.limit(20)
    return made


def best(count: int) -> ClassificationOptions:
    return ClassificationOptions(top_k=count, confidence_threshold=0)


class Thorough(Classification):
    """A task whose answers are made in the pool."""

    is_quick = False


async def test_one_entry_serves_every_option(foreign: ForeignPredictor, model_dir: Path, cat: bytes) -> None:
    async with pipeline_to(foreign, model_dir) as pipeline:
        three = await pipeline.answer([cat], best(3), call())
        five = await pipeline.answer([cat], best(5), call())

    assert len(foreign.asked()) == 1
    assert [len(each.answers[0].to_json()) for each in (three, five)] == [3, 5]
    assert five.answers[0].to_json()[:3] == three.answers[0].to_json()
    assert (five.sizes, five.model_version) == (three.sizes, three.model_version)


async def test_what_is_answered_from_the_cache_tells_it_by_its_stages(
    foreign: ForeignPredictor, model_dir: Path, cat: bytes
) -> None:
    async with pipeline_to(foreign, model_dir) as pipeline:
        first, second = call(), call()
        for each in (first, second):
            await pipeline.answer([cat], best(1), each)

    assert first.stages.keys() == {"cache", "queue", "decode", "preprocess", "predictor", "postprocess"}
    assert second.stages.keys() == {"cache", "postprocess"}


async def test_what_is_known_is_answered_though_the_queue_is_full(
    foreign: ForeignPredictor, model_dir: Path, cat: bytes
) -> None:
    async with pipeline_to(foreign, model_dir) as pipeline:
        known = await pipeline.answer([cat], best(1), call())
        with pipeline.queue.admit(ROWS):
            assert (await pipeline.answer([cat], best(1), call())).answers == known.answers
            with pytest.raises(Overloaded):
                await pipeline.answer([encoded(photo("coffee"), "JPEG")], best(1), call())


async def test_what_is_known_has_to_be_let_in_where_its_answer_is_work(
    foreign: ForeignPredictor, model_dir: Path, cat: bytes
) -> None:
    async with pipeline_to(foreign, model_dir) as quick:
        pipeline = replace(quick, task=Thorough(quick.directory))
        await pipeline.answer([cat], best(1), call())
        with pipeline.queue.admit(ROWS), pytest.raises(Overloaded):
            await pipeline.answer([cat], best(1), call())
        await pipeline.answer([cat], best(1), call())


async def test_a_large_picture_is_digested_off_the_event_loop(
    foreign: ForeignPredictor, model_dir: Path, cat: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[bool] = []

    def noting(pictures: Any) -> list[bytes]:
        met.append(threading.current_thread() is threading.main_thread())
        return [b"a digest"] * len(pictures)

    monkeypatch.setattr("transformer.pipeline.contents_of", noting)
    large = encoded(photo("coffee"), "BMP")
    assert len(large) > QUICK_BYTES
    async with pipeline_to(foreign, model_dir) as pipeline:
        await pipeline.answer([large], best(1), call())
        await pipeline.answer([cat], best(1), call())

    assert met == [False, True]


@pytest.mark.parametrize("count", [1, 3])
async def test_a_bad_picture_is_refused_each_time_with_its_place_in_the_request(
    foreign: ForeignPredictor, model_dir: Path, cat: bytes, count: int
) -> None:
    pictures = [*[cat] * (count - 1), b"no picture"]
    async with pipeline_to(foreign, model_dir) as pipeline:
        for _ in range(2):
            with pytest.raises(ImageUnsupported) as fault:
                await pipeline.answer(pictures, best(1), call())
            assert fault.value.details.get("index") == (2 if count == 3 else None)
            assert fault.value.message.startswith("picture 2 of 3 (counted from 0): ") == (count == 3)
            await pipeline.answer([cat], best(1), call())


async def test_what_the_model_said_cannot_be_written_to(foreign: ForeignPredictor, model_dir: Path) -> None:
    pixels = np.zeros((2, 224, 224, 3), np.uint8)
    async with pipeline_to(foreign, model_dir) as pipeline:
        predicted = await pipeline.backend.infer(list(pixels), call())

    arrays = [array for picture in predicted.pictures for array in picture.values()]
    assert arrays
    assert not any(array.flags.writeable for array in arrays)


async def test_the_warm_up_goes_down_the_whole_path_each_time(foreign: ForeignPredictor, model_dir: Path) -> None:
    settings = TransformerSettings(model_name="m", predictor_host=foreign.target, cache_mb=1)
    metrics = Metrics("test")
    reuse = Reuse.of(settings, metrics.registry)
    client = connect(settings)
    admission = Admission("the decoder", settings.bounds, metrics.queue_of())
    queue = WorkQueue("the decoder", 2, admission)
    model = TransformerModel(settings, metrics, client, queue, VersionFolder("m", model_dir), reuse=reuse)
    await model.open()
    await queue.close()
    await client.close()

    assert len(foreign.asked()) == WARM_UP_ROUNDS
    assert metrics.registry.get_sample_value("kserve_vision_cache_entries") == 0


def test_nothing_is_shared_and_nothing_counted_unless_it_is_asked_for() -> None:
    metrics = Metrics("test")

    assert Reuse.of(TransformerSettings(), metrics.registry) is None
    assert metrics.registry.get_sample_value("kserve_vision_cache_entries") is None
    collapsing = Reuse.of(TransformerSettings(collapse_identical=True), metrics.registry)
    assert collapsing is not None
    assert collapsing.cache is None
