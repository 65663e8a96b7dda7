"""A model whose run needs more memory than there are addresses, from five rows on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from predictor.batching import Batch, BatchRequest, Part, RunSize, run_batch
from predictor.loading import load
from predictor.settings import PredictorSettings
from serving.errors import DeviceOutOfMemory, ModelLoadFailed
from serving.v2 import Tensor

from .graphs import directory, image_shape, model, real_pixels, settings, value

SIZES = RunSize((1, 2, 4, 8))


def hungry(rows: int = 4) -> onnx.ModelProto:
    """The brightest number of each row, found among 2^46 copies of it where there are more rows than `rows`."""
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["bright"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["bright", "one"], ["column"]),
        helper.make_node("Shape", ["bright"], ["count"]),
        helper.make_node("Greater", ["count", "most"], ["many"]),
        helper.make_node("Cast", ["many"], ["flag"], to=onnx.TensorProto.INT64),
        helper.make_node("Mul", ["flag", "copies"], ["more"]),
        helper.make_node("Add", ["more", "one"], ["width"]),
        helper.make_node("Concat", ["count", "width"], ["shape"], axis=0),
        helper.make_node("Expand", ["column", "shape"], ["wide"]),
        helper.make_node("ReduceMax", ["wide"], ["y"], axes=[1], keepdims=0),
    ]
    return model(
        nodes,
        [value("images", image_shape("NCHW"))],
        [value("y", ["n"])],
        one=np.array([1], np.int64),
        most=np.array([rows], np.int64),
        copies=np.array([2**46], np.int64),
    )


def settings_for(folder: Path, graph: onnx.ModelProto, *, arena: bool = True) -> PredictorSettings:
    changes: dict[str, Any] = {"batching__max_batch_size": 8, "input__normalize": {"scale": 1}}
    return settings(directory(folder, graph, **changes), memory_arena=arena)


def brightest(rows: int) -> list[float]:
    return [float(row.max()) for row in real_pixels(rows)]


@pytest.mark.parametrize("arena", [True, False])
async def test_a_batch_that_there_is_no_memory_for_is_halved_for_real(tmp_path: Path, *, arena: bool) -> None:
    loaded = load(settings_for(tmp_path, hungry(), arena=arena))
    requests = [BatchRequest((Tensor("pixels", real_pixels(8)[start : start + 2]),), ("y",)) for start in (0, 2, 4, 6)]
    parts = [Part(request, 0, 2) for request in requests]

    ran = run_batch(loaded.lanes[0], SIZES, Batch(parts, 8))

    answers = [number for outcome in ran.outcomes if outcome.answer for number in outcome.answer[0].array]
    assert not ran.fitted
    assert answers == brightest(8)


async def test_rows_that_do_not_fit_alone_either_are_refused_and_may_come_again(tmp_path: Path) -> None:
    loaded = load(settings_for(tmp_path, hungry()))
    part = Part(BatchRequest((Tensor("pixels", real_pixels(8)),), ("y",)), 0, 8)

    ran = run_batch(loaded.lanes[0], RunSize((8,)), Batch([part], 8))

    error = ran.outcomes[0].error
    assert isinstance(error, DeviceOutOfMemory)
    assert (error.code, error.retry_after_s) == ("DEVICE_OUT_OF_MEMORY", 1)
    assert "Failed to allocate memory for requested buffer" in error.message


def test_sizes_that_there_is_no_memory_for_are_found_while_warming_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load(settings_for(tmp_path, hungry(rows=1)))

    assert loaded.policy.costs.sizes(0.0) == (1,)
    assert "no memory for larger batches" in "".join(capsys.readouterr())


def test_a_model_that_does_not_fit_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="the device has no memory for 1 rows"):
        load(settings_for(tmp_path, hungry(rows=0)))
