"""EfficientNet-Lite0 on two photos, through a plain reference: Pillow, NumPy and ONNX Runtime, none of our servers."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from tests.photos import photo
from tests.unit.zoo.reference import Float32, cropped, normalized, softmax

NAME = "efficientnet-lite0"


@pytest.fixture(scope="session")
def model(session: Callable[[str], onnxruntime.InferenceSession]) -> onnxruntime.InferenceSession:
    return session(NAME)


def prepare(name: str) -> Float32:
    return normalized(cropped(photo(name), Image.Resampling.BICUBIC), 127, 128)


def classify(model: onnxruntime.InferenceSession, name: str) -> Float32:
    """Return the probabilities `[1000]`."""
    [[logits]] = model.run(["logits"], {"input": prepare(name)})
    return softmax(logits)


def test_a_photo_of_a_tabby_is_a_cat_three_times(
    model: onnxruntime.InferenceSession, labels: Callable[[str], list[str]]
) -> None:
    probabilities = classify(model, "chelsea")
    best = probabilities.argsort()[::-1][:3]
    assert [labels(NAME)[i] for i in best] == ["tiger cat", "Egyptian cat", "tabby"]
    np.testing.assert_allclose(probabilities[best], [0.386, 0.356, 0.168], atol=0.002)


def test_a_photo_of_a_coffee_cup_is_an_espresso(
    model: onnxruntime.InferenceSession, labels: Callable[[str], list[str]]
) -> None:
    probabilities = classify(model, "coffee")
    assert labels(NAME)[int(probabilities.argmax())] == "espresso"
    assert probabilities.max() == pytest.approx(0.951, abs=0.002)


def test_the_graph_takes_any_batch_and_says_so(model: onnxruntime.InferenceSession) -> None:
    [taken], [given] = model.get_inputs(), model.get_outputs()
    assert (taken.name, taken.shape, taken.type) == ("input", ["batch", 3, 224, 224], "tensor(float)")
    assert (given.name, given.shape, given.type) == ("logits", ["batch", 1000], "tensor(float)")


def test_a_picture_is_classified_alike_alone_and_in_a_batch(model: onnxruntime.InferenceSession) -> None:
    cat, coffee = prepare("chelsea"), prepare("coffee")
    [together] = model.run(None, {"input": np.concatenate([cat, coffee])})
    apart = [model.run(None, {"input": picture})[0][0] for picture in (cat, coffee)]
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_labels_are_a_thousand_different_names_in_class_order(labels: Callable[[str], list[str]]) -> None:
    assert len(labels(NAME)) == len(set(labels(NAME))) == 1000
    known = {0: "tench", 281: "tabby", 282: "tiger cat", 285: "Egyptian cat", 967: "espresso", 999: "toilet tissue"}
    assert {index: labels(NAME)[index] for index in known} == known
