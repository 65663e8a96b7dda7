from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.contract import InputRules
from tests.photos import photo_bytes
from transformer.pictures import Limits, prepare, to_model_input

from .rules import crop

IMAGENET: dict[str, object] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
TINY: dict[str, object] = {"scale": 1.0, "mean": (127.0,), "std": (128.0,)}
CENTERED: dict[str, object] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
LARGEST: dict[str, object] = {"scale": "max", **IMAGENET}


def batch() -> NDArray[np.uint8]:
    """Three photographs, of which one is dark."""
    bright = [prepare(photo_bytes(name), crop(), Limits()).pixels for name in ("chelsea", "coffee", "rocket")]
    return np.stack([*bright[:2], bright[2] // 3])


def reference(pixels: NDArray[np.uint8], rules: InputRules) -> NDArray[np.generic]:
    """The contract's sentence, one array a step."""
    ordered = pixels[..., ::-1] if rules.color == "bgr" else pixels
    scale = rules.normalize.scale
    if scale == "max":
        pictures = [picture.astype(np.float32) / np.float32(max(picture.max(), 1e-6)) for picture in ordered]
        scaled = np.stack(pictures)
    else:
        scaled = ordered.astype(np.float32) * np.float32(scale)
    mean, std = np.array(rules.normalize.mean, np.float32), np.array(rules.normalize.std, np.float32)
    numbers = (scaled - mean) / std
    planar = numbers if rules.layout == "NHWC" else numbers.transpose(0, 3, 1, 2)
    return planar.astype(np.float16 if rules.datatype == "FP16" else np.float32)


@pytest.mark.parametrize("datatype", ["FP32", "FP16"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize(
    "normalize",
    [{}, IMAGENET, TINY, CENTERED, LARGEST],
    ids=["default", "imagenet", "lite", "centered", "largest"],
)
def test_the_tensor_equals_the_contracts_formula_bit_for_bit(
    normalize: dict[str, object], color: str, layout: str, datatype: str
) -> None:
    rules = crop(normalize=normalize, color=color, layout=layout, datatype=datatype)

    tensor = to_model_input(batch(), rules)

    expected = reference(batch(), rules)
    assert tensor.dtype == expected.dtype
    assert tensor.flags.c_contiguous
    assert np.array_equal(tensor, expected)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_a_uint8_input_takes_pixels_as_they_are(color: str, layout: str) -> None:
    rules = crop(normalize=IMAGENET, color=color, layout=layout, datatype="UINT8")
    ordered = batch()[..., ::-1] if color == "bgr" else batch()

    tensor = to_model_input(batch(), rules)

    assert tensor.flags.c_contiguous
    assert np.array_equal(tensor, ordered if layout == "NHWC" else ordered.transpose(0, 3, 1, 2))


def test_mean_and_std_are_in_the_order_of_the_models_channels() -> None:
    red = np.zeros((1, 2, 2, 3), np.uint8)
    red[..., 0] = 255
    rules = crop(normalize={"mean": (0.1, 0.2, 0.3), "std": (1.0, 1.0, 1.0)}, color="bgr")

    tensor = to_model_input(red, rules)

    assert tensor[0, :, 0, 0].tolist() == pytest.approx([-0.1, -0.2, 0.7])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("datatype", ["FP32", "FP16"])
def test_a_black_picture_is_divided_by_something(datatype: str, layout: str) -> None:
    rules = crop(normalize={"scale": "max"}, layout=layout, datatype=datatype)

    tensor = to_model_input(np.zeros((2, 5, 7, 3), np.uint8), rules)

    assert (tensor == 0).all()


@pytest.mark.parametrize("normalize", [{}, LARGEST], ids=["default", "largest"])
@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("datatype", ["FP32", "FP16", "UINT8"])
def test_any_number_of_pictures_is_one_tensor(
    datatype: str, layout: str, count: int, normalize: dict[str, object]
) -> None:
    rules = crop(layout=layout, datatype=datatype, normalize=normalize)

    tensor = to_model_input(np.zeros((count, 7, 9, 3), np.uint8), rules)

    assert tensor.shape == ((count, 3, 7, 9) if layout == "NCHW" else (count, 7, 9, 3))
