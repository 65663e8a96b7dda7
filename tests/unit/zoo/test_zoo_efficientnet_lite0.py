"""EfficientNet-Lite0 on two photos, through a plain reference: Pillow, NumPy and ONNX Runtime, none of our servers."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import skimage
from numpy.typing import NDArray
from PIL import Image

from zoo import pull

PHOTOS = Path(skimage.__file__).parent / "data"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pull("efficientnet-lite0", tmp_path_factory.mktemp("zoo") / "efficientnet-lite0")


@pytest.fixture(scope="session")
def session(model: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model / "model.onnx", providers=["CPUExecutionProvider"])


@pytest.fixture(scope="session")
def labels(model: Path) -> list[str]:
    return (model / "labels.txt").read_text(encoding="utf-8").splitlines()


def prepare(photo: str) -> NDArray[np.float32]:
    """Return `[1, 3, 224, 224]`: shorter side 256 bicubic, centre 224, ``(pixel - 127) / 128``."""
    picture = Image.open(PHOTOS / photo).convert("RGB")
    scale = 256 / min(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32)
    return ((pixels - 127) / 128).transpose(2, 0, 1)[None].astype(np.float32)


def classify(session: onnxruntime.InferenceSession, photo: str) -> NDArray[np.float32]:
    """Return the probabilities `[1000]`."""
    [logits] = session.run(["logits"], {"input": prepare(photo)})
    exponents = np.exp(logits[0] - logits[0].max())
    return np.asarray(exponents / exponents.sum(), np.float32)


def test_a_photo_of_a_tabby_is_a_cat_three_times(session: onnxruntime.InferenceSession, labels: list[str]) -> None:
    probabilities = classify(session, "chelsea.png")
    best = probabilities.argsort()[::-1][:3]
    assert [labels[i] for i in best] == ["tiger cat", "Egyptian cat", "tabby"]
    np.testing.assert_allclose(probabilities[best], [0.386, 0.356, 0.168], atol=0.002)


def test_a_photo_of_a_coffee_cup_is_an_espresso(session: onnxruntime.InferenceSession, labels: list[str]) -> None:
    probabilities = classify(session, "coffee.png")
    assert labels[int(probabilities.argmax())] == "espresso"
    assert probabilities.max() == pytest.approx(0.951, abs=0.002)


def test_the_graph_takes_any_batch_and_says_so(session: onnxruntime.InferenceSession) -> None:
    [taken], [given] = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape, taken.type) == ("input", ["batch", 3, 224, 224], "tensor(float)")
    assert (given.name, given.shape, given.type) == ("logits", ["batch", 1000], "tensor(float)")


def test_a_picture_is_classified_alike_alone_and_in_a_batch(session: onnxruntime.InferenceSession) -> None:
    cat, coffee = prepare("chelsea.png"), prepare("coffee.png")
    [together] = session.run(None, {"input": np.concatenate([cat, coffee])})
    apart = [session.run(None, {"input": picture})[0][0] for picture in (cat, coffee)]
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_labels_are_a_thousand_different_names_in_class_order(labels: list[str]) -> None:
    assert len(labels) == len(set(labels)) == 1000
    known = {0: "tench", 281: "tabby", 282: "tiger cat", 285: "Egyptian cat", 967: "espresso", 999: "toilet tissue"}
    assert {index: labels[index] for index in known} == known
