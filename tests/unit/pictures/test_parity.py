"""The whole path, from an encoded picture to the model's input, against a training pipeline written out plainly."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from serving.contract import InputRules
from tests.photos import photo_bytes
from transformer.pictures import Limits, prepare, to_model_input

from .rules import crop, letterbox, plain, shortest_edge, stretch

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
BYTES = {"mean": (103.53, 116.28, 123.675), "std": (57.375, 57.12, 58.395)}
NAMES = ["chelsea", "coffee", "rocket", "china"]


def tensor_of(name: str, wanted: InputRules) -> NDArray[Any]:
    return to_model_input(prepare(photo_bytes(name), wanted, Limits()).pixels[None], wanted)


def plain_tensor(name: str, wanted: InputRules, scale: float, mean: Any, std: Any) -> NDArray[Any]:
    """One array a step, as a training script has it: channels, float32, scale, mean, std, layout, datatype."""
    pixels = plain(Image.open(io.BytesIO(photo_bytes(name))), wanted)
    ordered = pixels[:, :, [2, 1, 0]] if wanted.color == "bgr" else pixels
    if wanted.datatype == "UINT8":
        numbers: NDArray[Any] = ordered
    else:
        numbers = (ordered.astype("float32") * np.float32(scale) - np.float32(mean)) / np.float32(std)
    if wanted.layout == "NCHW":
        numbers = np.transpose(numbers, (2, 0, 1))
    return numbers[None].astype({"FP32": "float32", "FP16": "float16", "UINT8": "uint8"}[wanted.datatype])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("datatype", ["FP32", "FP16", "UINT8"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("make", [crop, stretch, shortest_edge])
def test_the_models_input_equals_the_plain_steps(make: Any, layout: str, color: str, datatype: str, name: str) -> None:
    wanted = make(decode="exact", layout=layout, color=color, datatype=datatype, normalize=IMAGENET)

    tensor = tensor_of(name, wanted)

    expected = plain_tensor(name, wanted, 1 / 255, *IMAGENET.values())
    assert tensor.dtype == expected.dtype
    assert np.array_equal(tensor, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("align", ["center", "top_left"])
@pytest.mark.parametrize("color", [(114, 114, 114), (0, 0, 0), (12, 200, 255)])
def test_a_letterboxed_input_is_within_a_level_of_the_plain_steps(
    color: tuple[int, int, int], align: str, name: str
) -> None:
    wanted = letterbox(height=416, width=416, color=color, align=align, decode="exact")

    assert np.abs(tensor_of(name, wanted) - plain_tensor(name, wanted, 1 / 255, 0, 1)).max() <= 1 / 255


def test_bytes_in_blue_green_red_with_a_mean_are_what_caffe_takes() -> None:
    wanted = crop(decode="exact", color="bgr", normalize={"scale": 1, **BYTES})

    assert np.array_equal(tensor_of("coffee", wanted), plain_tensor("coffee", wanted, 1, *BYTES.values()))


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_value_divides_as_in_u2_nets_own_code(name: str) -> None:
    """By U-2-Net's data_loader.py, `ToTensorLab`, which computes in float64."""
    normalize = {"scale": "max", **IMAGENET}
    wanted = stretch("lanczos", height=320, width=320, decode="exact", normalize=normalize)

    tensor = tensor_of(name, wanted)

    image = np.asarray(Image.open(io.BytesIO(photo_bytes(name))).convert("RGB").resize((320, 320), 1))
    expected = ((image / np.max(image) - IMAGENET["mean"]) / IMAGENET["std"]).transpose(2, 0, 1)
    assert np.allclose(tensor[0], expected, rtol=0, atol=1e-6)
