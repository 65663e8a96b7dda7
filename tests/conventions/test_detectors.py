"""The real YOLOv4-tiny in every convention of outputs: the same boxes, read in the graph and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image

from serving.decoders import DECODERS
from serving.v2 import InferRequest, InferResponse, grpc
from tests.conventions.detectors import (
    BY_ITSELF,
    CONVENTIONS,
    IOU,
    Convention,
    labels_of_coco,
    numbers,
    photos,
    write,
    yolov4_tiny,
)
from tests.conventions.plain import Box, boxes_of, iou
from tests.conventions.serving_path import Served
from tests.photos import PHOTOS, encoded, photo
from transformer.tasks.detection import DetectionAnswer

UNDONE: Final = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_270,
)
"""How a camera stores a picture that EXIF's orientations 1 to 8 then turn back."""
WIRE_BYTES: Final = 32 * 1024
NEAR: Final = 2e-3
"""Boxes whose scores are so near the threshold may be on either side of it."""


@cache
def raw_rows() -> dict[str, np.ndarray[Any, Any]]:
    """What the network gives for every photo: rows [2535, 85]."""
    session = ort.InferenceSession(yolov4_tiny().model_path)
    (rows,) = session.run(None, {session.get_inputs()[0].name: numbers()})
    return dict(zip(PHOTOS, np.asarray(rows), strict=True))


@cache
def expected(name: str, confidence: float, *, multi_label: bool) -> list[Box]:
    labels = list(labels_of_coco())
    return boxes_of(raw_rows()[name], photo(name).size, labels, confidence, IOU, multi_label=multi_label)


def assert_same_boxes(answer: DetectionAnswer, wanted: Sequence[Box], confidence: float) -> None:
    """Each box that was found is one that is wanted, and the other way round."""
    found = [Box(d.label, d.score, d.box) for d in answer.detections]
    for some, others in ((found, wanted), (wanted, found)):
        for box in some:
            if box.score > confidence + NEAR:
                assert any(_is_same(box, other) for other in others), (box, others)
    assert abs(len(found) - len(wanted)) <= sum(abs(box.score - confidence) <= NEAR for box in [*found, *wanted])


def assert_equal(one: DetectionAnswer, other: DetectionAnswer) -> None:
    """Equal but for the last bits of floating-point numbers."""
    assert [d.class_id for d in one.detections] == [d.class_id for d in other.detections]
    for first, second in zip(one.detections, other.detections, strict=True):
        assert first.score == pytest.approx(second.score, abs=1e-5)
        assert first.box == pytest.approx(second.box, abs=0.01)


def _is_same(one: Box, other: Box) -> bool:
    return one.label == other.label and abs(one.score - other.score) <= 1e-3 and iou(one.corners, other.corners) >= 0.99


@pytest.fixture(scope="module", params=CONVENTIONS)
def convention(request: pytest.FixtureRequest) -> Convention:
    return CONVENTIONS[request.param]


@pytest.fixture(scope="module")
def folder(convention: Convention, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(convention, tmp_path_factory.mktemp("convention"), whole=convention is CONVENTIONS[BY_ITSELF])


@pytest.fixture(scope="module")
def in_graph(folder: Path) -> Served:
    return Served.at(folder, fuse_output=True)


@pytest.fixture(scope="module")
def in_numpy(folder: Path) -> Served:
    return Served.at(folder, fuse_output=False)


@pytest.fixture(scope="module")
def answers(in_graph: Served, in_numpy: Served) -> list[dict[str, DetectionAnswer]]:
    """What is said of every photo, all of them in one request: read in the graph, and in NumPy."""
    ways = (in_graph, in_numpy)
    return [dict(zip(PHOTOS, served.answers(list(photos().values())), strict=True)) for served in ways]


def test_every_decoder_is_shown() -> None:
    assert {convention.rules["decoder"] for convention in CONVENTIONS.values()} == DECODERS["detection"].keys()


def test_every_photo_has_boxes_to_compare() -> None:
    for multi_label in (False, True):
        assert all(expected(name, CONVENTIONS[BY_ITSELF].confidence, multi_label=multi_label) for name in PHOTOS)


def test_the_boxes_of_every_photo_are_those_of_a_plain_reference(
    convention: Convention, answers: list[dict[str, DetectionAnswer]]
) -> None:
    for found in answers:
        for name, answer in found.items():
            wanted = expected(name, convention.confidence, multi_label=convention.multi_label)
            assert_same_boxes(answer, wanted, convention.confidence)


def test_the_graph_and_numpy_find_the_same(answers: list[dict[str, DetectionAnswer]]) -> None:
    in_graph, in_numpy = answers
    for name, answer in in_graph.items():
        assert_equal(answer, in_numpy[name])


def test_a_photo_alone_is_answered_as_in_a_batch(
    in_graph: Served, in_numpy: Served, answers: list[dict[str, DetectionAnswer]]
) -> None:
    for served, together in zip((in_graph, in_numpy), answers, strict=True):
        (alone,) = served.answers([photos()["astronaut"]])
        assert_equal(alone, together["astronaut"])


def test_what_a_detector_sends_of_a_photo_is_at_most_32_kilobytes(in_graph: Served) -> None:
    response = InferResponse("m", "1", in_graph.run([photos()["astronaut"]]))
    message = grpc.serialize_response(response, InferRequest("m", (), binary_output=True))
    assert len(message) <= WIRE_BYTES


@pytest.mark.parametrize("name", ["yolov8 of bytes", "rtdetr"])
def test_a_predictor_of_the_graph_as_it_stands_is_answered_the_same(name: str, tmp_path: Path) -> None:
    convention = CONVENTIONS[name]
    served = Served.at(write(convention, tmp_path), fuse_output=False, fuse_input=False)
    for photo_name, answer in zip(PHOTOS, served.answers(list(photos().values())), strict=True):
        wanted = expected(photo_name, convention.confidence, multi_label=convention.multi_label)
        assert_same_boxes(answer, wanted, convention.confidence)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG"])
def test_the_boxes_of_a_turned_photo_are_within_a_pixel_of_those_of_the_upright_one(
    picture_format: str, tmp_path: Path
) -> None:
    served = Served.at(write(CONVENTIONS[BY_ITSELF], tmp_path, whole=True), fuse_output=True)
    upright = photo("coffee")
    finest = {"quality": 100, "subsampling": 0} if picture_format == "JPEG" else {}
    boxes = []
    for orientation, undone in enumerate(UNDONE, 1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = upright if undone is None else upright.transpose(undone)
        picture = encoded(stored, picture_format, exif=exif, **finest)
        (answer,) = served.answers([served.prepare(picture)], confidence_threshold=0.35)
        assert [d.label for d in answer.detections] == ["cup", "dining table"]
        boxes.append([d.box for d in answer.detections])
    for turned in boxes[1:]:
        np.testing.assert_allclose(turned, boxes[0], rtol=0, atol=1)
