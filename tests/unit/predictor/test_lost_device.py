from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from predictor import model as module
from predictor.engines import Lane
from predictor.loading import Loaded, load
from predictor.metrics import PredictorMetrics
from predictor.model import PredictorModel
from predictor.settings import PredictorSettings
from serving.call import Call
from serving.errors import DeviceLost, ModelLoadFailed, ModelNotReady
from serving.server.model import State
from serving.v2 import InferRequest, Tensor

from .graphs import classifier, directory, real_pixels, settings

REQUEST = InferRequest("m", (Tensor("pixels", real_pixels(1)),))


class LostLane(Lane):
    def run(self, inputs: Sequence[Tensor], outputs: Sequence[str]) -> tuple[Tensor, ...]:  # noqa: ARG002
        raise DeviceLost("CUDA failure 700: an illegal memory access was encountered")


async def test_a_version_whose_device_is_lost_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(given: PredictorSettings) -> Loaded:
        return replace(load(given), lanes=(LostLane(),))

    monkeypatch.setattr(module, "load", lost)
    model = PredictorModel(settings(directory(tmp_path, classifier())), PredictorMetrics())
    await model.open()
    model.state = State.READY
    model.check()

    for _ in range(2):
        with pytest.raises(DeviceLost):
            await model.infer(REQUEST, Call("id", "test"))
    with pytest.raises(DeviceLost, match="CUDA failure 700"):
        model.check()

    assert model.lost is not None
    assert model.reason == "DEVICE_LOST: CUDA failure 700: an illegal memory access was encountered"
    assert "".join(capsys.readouterr()).count("device lost") == 1
    await model.close()


async def test_a_device_that_is_lost_while_a_model_is_loaded_is_lost_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: PredictorSettings) -> Loaded:
        raise DeviceLost("CUDA failure 719: unspecified launch failure")

    monkeypatch.setattr(module, "load", lost)
    model = PredictorModel(settings(directory(tmp_path, classifier())), PredictorMetrics())

    with pytest.raises(ModelLoadFailed, match="CUDA failure 719"):
        await model.open()

    assert model.lost is not None


async def test_a_version_is_not_lost_before_anything_happened(tmp_path: Path) -> None:
    model = PredictorModel(settings(directory(tmp_path, classifier())), PredictorMetrics())

    assert model.lost is None
    with pytest.raises(ModelNotReady):
        model.check()
