from __future__ import annotations

import sys
from pathlib import Path

import pytest

from predictor.engines.device import Device
from predictor.loading import load
from serving.contract import EngineName, Precision, load_model_directory
from serving.errors import ModelLoadFailed
from tests.unit.predictor.graphs import classifier, directory, settings

OPENVINO = {"engine": "openvino"}


def test_onnx_runtime_runs_a_model_unless_something_else_is_said(tmp_path: Path) -> None:
    assert load(settings(directory(tmp_path, classifier()))).engine.platform == "onnxruntime_onnx"


def test_the_contract_chooses_the_engine(tmp_path: Path) -> None:
    assert load(settings(directory(tmp_path, classifier(), runtime=OPENVINO))).engine.platform == "openvino_onnx"


def test_the_settings_win_over_the_contract(tmp_path: Path) -> None:
    folder = directory(tmp_path, classifier(), runtime={"engine": "openvino", "precision": "bf16"})

    loaded = load(settings(folder, engine=EngineName.ONNXRUNTIME, precision=Precision.FP32))

    assert loaded.engine.platform == "onnxruntime_onnx"


def test_both_engines_have_one_contract(tmp_path: Path) -> None:
    one = load_model_directory(directory(tmp_path / "one", None))
    other = load_model_directory(directory(tmp_path / "other", None, runtime=OPENVINO))

    assert one.digest == other.digest


def test_onnx_runtime_has_no_precision_to_choose(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=r"bf16 is for engine: openvino.*PRECISION=fp32"):
        load(settings(directory(tmp_path, classifier()), precision=Precision.BF16))


@pytest.mark.parametrize("device", [device for device in Device if device not in (Device.AUTO, Device.CPU)])
def test_openvino_takes_no_other_device_than_the_cpu(tmp_path: Path, device: Device) -> None:
    with pytest.raises(ModelLoadFailed, match=rf"runs on the CPU: DEVICE={device}"):
        load(settings(directory(tmp_path, classifier(), runtime=OPENVINO), device=device))


def test_openvino_that_is_not_installed_is_told_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "predictor.engines.openvino", None)

    with pytest.raises(ModelLoadFailed, match=r"install the extra openvino.*ENGINE=onnxruntime"):
        load(settings(directory(tmp_path, classifier(), runtime=OPENVINO)))
