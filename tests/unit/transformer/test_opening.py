"""A transformer's model is opened before a predictor that serves something else: who waits for it, and who is told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from serving.admission import Admission, Bounds
from serving.contract.repository import VersionFolder
from serving.errors import ModelLoadFailed
from serving.metrics import Metrics
from serving.queue import WorkQueue
from transformer.client import connect
from transformer.model import TransformerModel
from transformer.settings import TransformerSettings

from .foreign import CLASSES, ForeignPredictor, foreign_predictor, response

PATIENCE_S = 20


@pytest.fixture
def foreign() -> Iterator[ForeignPredictor]:
    with foreign_predictor() as predictor:
        yield predictor


@asynccontextmanager
async def model_before(foreign: ForeignPredictor, folder: Path) -> AsyncIterator[TransformerModel]:
    """A model of `folder`, still to be opened."""
    settings = TransformerSettings(model_name="m", predictor_host=foreign.target)
    metrics = Metrics("test")
    client = connect(settings)
    queue = WorkQueue("the decoder", 1, Admission("the decoder", Bounds(64, 2**30, 60), metrics.queue_of()))
    try:
        yield TransformerModel(settings, metrics, client, queue, VersionFolder("m", folder))
    finally:
        await queue.close()
        await client.close()


def of_another_output(foreign: ForeignPredictor, folder: Path) -> None:
    assert foreign.ready
    contract = yaml.safe_load((folder / "model.yaml").read_text())
    contract.setdefault("output", {})["tensor"] = "probabilities"
    (folder / "model.yaml").write_text(yaml.safe_dump(contract))


def of_another_input(foreign: ForeignPredictor, _: Path) -> None:
    foreign.datatype, foreign.shape = "UINT8", (-1, 100, 100, 3)


def of_another_contract(foreign: ForeignPredictor, _: Path) -> None:
    answer = response(np.zeros((1, CLASSES), np.float32), contract="0" * 64)
    foreign.answer = lambda *_: answer


@pytest.mark.parametrize(
    ("differ", "said"),
    [
        (of_another_output, "the predictor's outputs are not the contract's: .*'probabilities'"),
        (of_another_input, "takes 'images' UINT8"),
        (of_another_contract, "the predictor serves the contract 000000000000"),
    ],
)
async def test_a_predictor_of_another_model_is_told_to_the_impatient_and_waited_for_by_the_patient(
    foreign: ForeignPredictor,
    model_dir: Path,
    tmp_path: Path,
    differ: Callable[[ForeignPredictor, Path], None],
    said: str,
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(model_dir, folder)
    differ(foreign, folder)

    async with model_before(foreign, folder) as model, asyncio.timeout(PATIENCE_S):
        with pytest.raises(ModelLoadFailed, match=f"does not serve it, and must first: .*{said}"):
            await model.open(patient=False)
    async with model_before(foreign, folder) as model, asyncio.timeout(PATIENCE_S):
        opening = asyncio.create_task(model.open())
        asked = len(foreign.asked("ModelReady"))
        while len(foreign.asked("ModelReady")) < asked + 2:  # noqa: ASYNC110  # calls of another thread
            await asyncio.sleep(0.01)
        assert not opening.done()
        opening.cancel()
        await asyncio.wait([opening])
