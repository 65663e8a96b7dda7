"""MobileNetV2 on two photos, and against the numbers that torchvision publishes."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from tests.photos import photo
from tests.unit.zoo.conftest import Pulled
from tests.unit.zoo.reference import IMAGENET_MEAN, IMAGENET_STD, Float32, cropped, normalized, softmax
from zoo import mobilenet_v2
from zoo.archives import read_members
from zoo.state_dict import read_state_dict

NAME = "mobilenet-v2"
PARAMETERS = 3_504_872
"""`num_params` of `MobileNet_V2_Weights.IMAGENET1K_V1` in torchvision."""


@pytest.fixture(scope="session")
def model(session: Callable[[str], onnxruntime.InferenceSession]) -> onnxruntime.InferenceSession:
    return session(NAME)


def prepare(name: str) -> Float32:
    pixels = cropped(photo(name), Image.Resampling.BILINEAR) / 255
    return normalized(pixels, IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize(
    ("name", "label", "probability"), [("chelsea", "Egyptian cat", 0.714), ("coffee", "espresso", 0.992)]
)
def test_a_photo_is_what_it_shows(
    name: str,
    label: str,
    probability: float,
    model: onnxruntime.InferenceSession,
    labels: Callable[[str], list[str]],
) -> None:
    [[logits]] = model.run(["logits"], {"input": prepare(name)})
    probabilities = softmax(logits)
    assert labels(NAME)[int(probabilities.argmax())] == label
    assert probabilities.max() == pytest.approx(probability, abs=0.003)


def test_the_graph_takes_any_batch_and_says_so(model: onnxruntime.InferenceSession) -> None:
    [taken], [given] = model.get_inputs(), model.get_outputs()
    assert (taken.name, taken.shape, taken.type) == ("input", ["batch", 3, 224, 224], "tensor(float)")
    assert (given.name, given.shape, given.type) == ("logits", ["batch", 1000], "tensor(float)")


def test_a_picture_is_classified_alike_alone_and_in_a_batch(model: onnxruntime.InferenceSession) -> None:
    cat, coffee = prepare("chelsea"), prepare("coffee")
    [together] = model.run(None, {"input": np.concatenate([cat, coffee])})
    apart = [model.run(None, {"input": picture})[0][0] for picture in (cat, coffee)]
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_every_parameter_of_the_state_dict_is_in_the_graph(pulled: Pulled, archive: Pulled) -> None:
    [blob] = read_members(archive(NAME), [mobilenet_v2.WEIGHTS])
    state = read_state_dict(blob)
    assert sum(t.size for name, t in state.items() if name.endswith((".weight", ".bias"))) == PARAMETERS

    weights = onnx.load(pulled(NAME) / "model.onnx").graph.initializer
    written = sum(int(np.prod(one.dims)) for one in weights if one.name.endswith((".weight", ".bias")))
    normalised = sum(t.size for name, t in state.items() if name.endswith(".running_mean"))
    assert written == PARAMETERS - normalised  # a factor and an offset became one bias


def test_the_same_archive_gives_the_same_bytes(archive: Pulled, pulled: Pulled) -> None:
    assert mobilenet_v2.build(archive(NAME)).onnx == (pulled(NAME) / "model.onnx").read_bytes()
