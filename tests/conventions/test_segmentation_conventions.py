"""The real DeepLab in every convention of outputs, and a detector with masks that are known: the same masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from PIL import Image

import zoo
from predictor.graph import read_graph
from serving.contract import load_model_directory
from serving.decoders import Array
from serving.v2 import InferRequest, InferResponse, grpc
from tests.conventions import detectors
from tests.conventions.ending import Detector, Ending
from tests.conventions.known_photos import with_known_photos
from tests.conventions.segmenters import CONVENTIONS, INSTANCES, SIZE
from tests.conventions.serving_path import Served, directory
from tests.packages import skip_without_client
from tests.photos import PHOTOS, encoded, photo, photo_bytes
from transformer.pictures import Prepared
from transformer.tasks.instance_segmentation import InstanceAnswer
from transformer.tasks.segmentation import SegmentationAnswer

AGREEMENT: Final = 0.995
"""Of the pixels of each photo."""
STORED_AS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera stores a picture that EXIF's orientations then turn back."""
CONTRACT: Final[dict[str, Any]] = {
    "task": "segmentation",
    "input.height": SIZE,
    "input.width": SIZE,
    "input.resize": {"rule": "letterbox", "align": "top_left", "color": [128, 128, 128]},
    "input.normalize": {"scale": 1, "mean": [127.5], "std": [127.5]},
    "batching.max_batch_size": 1,
}


@cache
def deeplab() -> tuple[onnx.ModelProto, str]:
    skip_without_client("deeplab-voc")
    found = load_model_directory(zoo.pull_cached("deeplab-voc"))
    return read_graph(found.model_path), "\n".join(found.labels)


@cache
def known_photos() -> onnx.ModelProto:
    """What takes DeepLab's place where only photos are asked about."""
    return with_known_photos(deeplab()[0], np.stack([plain_numbers(photo(name)) for name in PHOTOS]))


@cache
def plain_classes() -> dict[str, Array]:
    """The classes of every photo's pixels, as DeepLab's authors have them, with nothing of the package's."""
    model, _ = deeplab()
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return {name: plain_answer(session, photo(name)) for name in PHOTOS}


def plain_answer(session: ort.InferenceSession, picture: Image.Image) -> Array:
    """Run, enlarge the logits corner on corner, cut off the fill, take the best, and enlarge that."""
    width, height = fitted(picture)
    [[logits]] = session.run(None, {session.get_inputs()[0].name: plain_numbers(picture)[None]})
    enlarged = np.stack([_enlarged_by_eight(each.astype(np.float64)) for each in logits])
    classes = enlarged[:, :height, :width].argmax(axis=0).astype(np.uint8)
    return np.asarray(Image.fromarray(classes).resize(picture.size, Image.Resampling.NEAREST))


def plain_numbers(picture: Image.Image) -> Array:
    """Scale to fit 513, and fill up: [3, 513, 513], -1..1."""
    ground = Image.new("RGB", (SIZE, SIZE), (128, 128, 128))
    ground.paste(picture.resize(fitted(picture), Image.Resampling.BILINEAR), (0, 0))
    return ((np.asarray(ground, np.float32) - 127.5) / 127.5).transpose(2, 0, 1)


def fitted(picture: Image.Image) -> tuple[int, int]:
    """Width and height of the picture in the model's input."""
    scale = SIZE / max(picture.size)
    return round(picture.width * scale), round(picture.height * scale)


def _enlarged_by_eight(values: Array) -> Array:
    """Put seven points between each two, on a straight line; first along the rows, then along the columns."""
    for _ in range(2):
        steps = [values[:-1] * (8 - step) / 8 + values[1:] * step / 8 for step in range(8)]
        between = np.stack(steps, axis=1).reshape(-1, values.shape[1])
        values = np.concatenate([between, values[-1:]]).T
    return values


def served(folder: Path, name: str, *, fuse_output: bool, whole: bool = False) -> Served:
    """DeepLab that ends by a convention: for the photos alone, or the whole network."""
    model, labels = deeplab()
    convention = CONVENTIONS[name]
    ending = Ending(model if whole else known_photos())
    convention.end(ending)
    rules = {f"output.{key}": value for key, value in convention.rules.items()}
    return Served.at(directory(folder, ending.model, labels, CONTRACT | rules), fuse_output=fuse_output)


def photos(model: Served, names: Sequence[str] = tuple(PHOTOS)) -> list[Prepared]:
    return [model.prepare(photo_bytes(name)) for name in names]


@pytest.fixture(scope="module")
def as_it_is(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The whole network, which ends as DeepLab's own."""
    return served(tmp_path_factory.mktemp("deeplab"), "as it is", fuse_output=True, whole=True)


def classes_of(answer: SegmentationAnswer) -> Array:
    """The class of each pixel; of masks that do not exclude each other, that of the largest."""
    if answer.classes is not None:
        return answer.classes.whole()
    whole = np.full((answer.height, answer.width), 255, np.uint8)
    for segment in reversed(answer.segments):
        whole[segment.mask.patch().whole() > 0] = segment.class_id
    return whole


@pytest.mark.parametrize("fuse_output", [True, False], ids=["in the graph", "in NumPy"])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_every_convention_gives_the_masks_of_the_plain_way_on_every_photo(
    tmp_path: Path, name: str, *, fuse_output: bool
) -> None:
    model = served(tmp_path, name, fuse_output=fuse_output, whole=name == "as it is")

    answers = model.answers(photos(model))

    for photo_name, answer in zip(PHOTOS, answers, strict=True):
        same = np.mean(classes_of(answer) == plain_classes()[photo_name])
        assert same >= AGREEMENT, photo_name


def test_the_graph_and_numpy_choose_the_same_classes_but_for_ties(as_it_is: Served, tmp_path: Path) -> None:
    plain = served(tmp_path, "as it is", fuse_output=False)
    pictures = photos(plain, ["chelsea", "astronaut"])

    (one, other) = (np.stack([m["class_map"] for m in s.read(s.run(pictures), 2)]) for s in (as_it_is, plain))

    assert np.mean(one == other) > 0.99999


def test_a_cat_fills_most_of_its_photo(as_it_is: Served) -> None:
    (answer,) = as_it_is.answers(photos(as_it_is, ["chelsea"]))

    best = answer.segments[0]
    assert (best.label, round(best.share, 2)) == ("cat", 0.79)
    assert best.box[0] == 0
    assert best.box[3] == 300


def test_a_class_map_crosses_the_wire_in_bytes_and_not_in_logits(tmp_path: Path) -> None:
    model = served(tmp_path, "stride 1", fuse_output=True)

    outputs = model.run(photos(model, ["chelsea"]))

    message = grpc.serialize_response(InferResponse("m", "1", outputs), InferRequest("m", ()))
    assert len(message) < SIZE * SIZE + 1024


@pytest.mark.parametrize("orientation", STORED_AS)
def test_a_mask_lies_over_the_picture_as_a_person_sees_it(as_it_is: Served, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = photo("chelsea").transpose(STORED_AS[orientation])

    (answer,) = as_it_is.answers([as_it_is.prepare(encoded(turned, "PNG", exif=exif))])

    assert np.mean(classes_of(answer) == plain_classes()["chelsea"]) >= AGREEMENT


@pytest.mark.parametrize("size", [(600, 1), (1, 600), (800, 40), (1, 1)], ids=str)
def test_a_picture_of_any_shape_gets_a_mask_of_its_size(as_it_is: Served, size: tuple[int, int]) -> None:
    (answer,) = as_it_is.answers([as_it_is.prepare(encoded(photo("coffee").resize(size), "PNG"))])

    assert answer.classes.whole().shape == (size[1], size[0])
    assert sum(segment.pixels for segment in answer.segments) == size[0] * size[1]


U2NETP: Final = 320


@cache
def plain_levels() -> dict[str, Array]:
    """U2-Netp's mask of every photo, [h, w] 0..1, enlarged as Pillow does."""
    model = ort.InferenceSession(zoo.pull_cached("u2netp") / "model.onnx", providers=["CPUExecutionProvider"])
    levels = {}
    for name in ("chelsea", "astronaut"):
        small = np.asarray(photo(name).resize((U2NETP, U2NETP), Image.Resampling.LANCZOS), np.float32)
        numbers = (small / small.max() - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        mask, *_ = model.run(None, {"input.1": numbers.transpose(2, 0, 1)[None].astype(np.float32)})
        image = Image.fromarray(mask[0, 0])
        levels[name] = np.asarray(image.resize(photo(name).size, Image.Resampling.BILINEAR))
    return levels


@pytest.mark.parametrize("fuse_output", [True, False], ids=["in the graph", "in NumPy"])
def test_the_foreground_of_u2netp_is_that_of_the_plain_way(*, fuse_output: bool) -> None:
    model = Served.at(zoo.pull_cached("u2netp"), fuse_output=fuse_output)

    answers = model.answers(photos(model, list(plain_levels())))

    for levels, answer in zip(plain_levels().values(), answers, strict=True):
        (segment,) = answer.segments
        assert segment.label == "foreground"
        assert np.mean(segment.mask.patch().whole() == (levels >= 0.5)) >= AGREEMENT
        assert np.abs(segment.mask.levels() / 255 - levels).mean() < 0.005


def instances(folder: Path, decoder: str, *, fuse_output: bool) -> Served:
    ending = Detector(detectors.known_photos())
    INSTANCES[decoder](ending)
    contract = {
        "task": "instance_segmentation",
        "input.height": Detector.SIZE,
        "input.width": Detector.SIZE,
        "input.resize": {"rule": "letterbox"},
        "output": {"decoder": decoder, "tensor": "output0", "prototypes": "output1", "candidates": 300}
        | {"confidence_threshold": 0.1},
        "batching.max_batch_size": 3,
    }
    labels = "\n".join(detectors.labels_of_coco())
    return Served.at(directory(folder, ending.model, labels, contract), fuse_output=fuse_output)


@pytest.mark.parametrize("fuse_output", [True, False], ids=["in the graph", "in NumPy"])
@pytest.mark.parametrize("decoder", INSTANCES)
def test_each_box_has_its_own_mask(tmp_path: Path, decoder: str, *, fuse_output: bool) -> None:
    model = instances(tmp_path, decoder, fuse_output=fuse_output)

    answers: list[InstanceAnswer] = model.answers(photos(model))

    assert sum(len(answer.masks) for answer in answers) > 5
    for answer in answers:
        for found, mask in zip(answer.boxes.detections, answer.masks, strict=True):
            assert_above_its_diagonal(found.box, mask.patch().whole() > 0)


def assert_above_its_diagonal(box: tuple[float, float, float, float], mask: Array) -> None:
    """What is of the box and above the line from its left bottom to its right top is of the mask, and nothing else.

    A box that reaches over the picture has another diagonal, and a mask at the picture's edge is not interpolated.
    """
    height, width = mask.shape
    y, x = np.mgrid[:height, :width] + 0.5
    left, top, right, bottom = box
    inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    assert not (mask & ~inside).any()
    if left > 0 and top > 0 and right < width and bottom < height:
        share = (x - left) / (right - left) + (y - top) / (bottom - top)
        expected = inside & (share < 1)
        clear = np.abs(share - 1) > 0.02
        assert (mask == expected)[clear].all()
        assert mask.sum() == pytest.approx(expected.sum(), rel=0.02, abs=3)


def test_masks_of_instances_are_made_of_few_bytes(tmp_path: Path) -> None:
    model = instances(tmp_path, "yolov8_seg", fuse_output=True)

    outputs = model.run(photos(model, ["coffee"]))

    size = sum(tensor.array.nbytes for tensor in outputs)
    assert size == 300 * (4 + 1 + 1 + 4) * 4 + 4 * 104 * 104 * 2 + 2


def colors() -> onnx.ModelProto:
    """A graph for any height and width that gives the mean colour of each 8 x 8 pixels, 0..1, [n, 3, h / 8, w / 8]."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, f"{name}_height", f"{name}_width"])
        for name in ("input", "colors")
    ]
    pool = helper.make_node("AveragePool", ["input"], ["colors"], kernel_shape=[8, 8], strides=[8, 8])
    graph = helper.make_graph([pool], "colors", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("fuse_output", [True, False], ids=["in the graph", "in NumPy"])
@pytest.mark.parametrize("size", [(451, 300), (300, 451), (1200, 60), (640, 1)], ids=str)
def test_a_model_whose_size_follows_the_picture_has_a_map_that_does(
    tmp_path: Path, size: tuple[int, int], *, fuse_output: bool
) -> None:
    contract = {
        "task": "segmentation",
        "input.height": 256,
        "input.width": 256,
        "input.resize": {"rule": "letterbox", "multiple": 32, "align": "top_left"},
        "output": {"decoder": "logits", "stride": 8},
    }
    folder = directory(tmp_path, colors(), "red\ngreen\nblue", contract)
    model = Served.at(folder, fuse_output=fuse_output)
    picture = Image.new("RGB", size, (250, 0, 0))
    picture.paste((0, 250, 0), (0, 0, size[0] // 2, size[1]))

    (answer,) = model.answers([model.prepare(encoded(picture, "PNG"))])

    whole = answer.classes.whole()
    expected = np.tile(np.arange(size[0]) >= size[0] // 2, (size[1], 1))
    near = size[0] // 40
    clear = np.abs(np.arange(size[0]) - size[0] // 2) > near
    assert whole.shape == expected.shape
    assert np.array_equal((whole == 0)[:, clear], expected[:, clear])
    assert np.array_equal((whole == 1)[:, clear], ~expected[:, clear])
