"""DeepLabV3 on photos, and against the weights that it is built from."""

import json
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.photos import photo
from tests.unit.zoo.conftest import Pulled
from tests.unit.zoo.reference import Float32, bus, letterboxed, normalized
from zoo import deeplab_voc
from zoo.archives import read_members

NAME = "deeplab-voc"

Shares = Callable[[Image.Image], dict[str, float]]


@pytest.fixture(scope="session")
def model(session: Callable[[str], onnxruntime.InferenceSession]) -> onnxruntime.InferenceSession:
    return session(NAME)


def prepare(picture: Image.Image) -> Float32:
    return normalized(letterboxed(picture, 513, 128, centered=False).pixels, 127.5, 127.5)


def enlarged(logits: Float32) -> Float32:
    """From `[21, 65, 65]` to `[21, 513, 513]`, bilinear, corner on corner: a step is an eighth of a point."""
    position = np.arange(513) / 8
    before = np.minimum(position.astype(int), 63)
    after_share = position - before
    rows = logits[:, before] * (1 - after_share)[:, None] + logits[:, before + 1] * after_share[:, None]
    return np.asarray(rows[:, :, before] * (1 - after_share) + rows[:, :, before + 1] * after_share, np.float32)


@pytest.fixture(scope="session")
def classes(model: onnxruntime.InferenceSession) -> Callable[[Image.Image], NDArray[np.intp]]:
    """From a photo to the class of each of its pixels, at the model's size without the fill."""

    def classes(picture: Image.Image) -> NDArray[np.intp]:
        [[logits]] = model.run(None, {"input": prepare(picture)})
        boxed = letterboxed(picture, 513, 128, centered=False)
        return np.asarray(enlarged(logits).argmax(axis=0)[: boxed.height, : boxed.width])

    return classes


@pytest.fixture(scope="session")
def shares(classes: Callable[[Image.Image], NDArray[np.intp]], labels: Callable[[str], list[str]]) -> Shares:
    def shares(picture: Image.Image) -> dict[str, float]:
        counts = np.bincount(classes(picture).ravel(), minlength=21)
        return {name: count / counts.sum() for name, count in zip(labels(NAME), counts.tolist(), strict=True) if count}

    return shares


def test_most_of_a_photo_of_a_cat_is_cat(shares: Shares) -> None:
    found = shares(photo("chelsea"))
    assert set(found) == {"background", "cat"}
    assert found["cat"] == pytest.approx(0.791, abs=0.005)


def test_an_astronaut_is_a_person(shares: Shares) -> None:
    found = shares(photo("astronaut"))
    assert found["person"] == pytest.approx(0.419, abs=0.005)


def test_a_street_has_a_bus_and_people(shares: Shares, archive: Pulled) -> None:
    found = shares(bus(archive("yolov4-tiny")))
    assert found["bus"] == pytest.approx(0.306, abs=0.005)
    assert found["person"] == pytest.approx(0.128, abs=0.005)


def test_the_graph_takes_any_batch_and_says_so(model: onnxruntime.InferenceSession) -> None:
    [taken], [given] = model.get_inputs(), model.get_outputs()
    assert (taken.name, taken.shape, taken.type) == ("input", ["batch", 3, 513, 513], "tensor(float)")
    assert (given.name, given.shape, given.type) == ("logits", ["batch", 21, 65, 65], "tensor(float)")


def test_a_picture_is_segmented_alike_alone_and_in_a_batch(model: onnxruntime.InferenceSession) -> None:
    cat, coffee = prepare(photo("chelsea")), prepare(photo("coffee"))
    [together] = model.run(None, {"input": np.concatenate([cat, coffee])})
    apart = [model.run(None, {"input": picture})[0][0] for picture in (cat, coffee)]
    np.testing.assert_allclose(together, apart, atol=1e-3)


def test_every_weight_of_the_original_is_in_the_graph(pulled: Pulled, archive: Pulled) -> None:
    [model] = read_members(archive(NAME), ["package/model/model.json"])
    described = {
        one["name"]: int(np.prod(one["shape"]))
        for one in json.loads(model)["weightsManifest"][0]["weights"]
        if one["dtype"] == "float32"
    }
    # What is not the network's: the original's own normalisation, and the factors that went into the depthwise weights.
    rest = {name for name in described if name.endswith("/Scaled")} | {"Reshape", "mul_1/x", "ToFloat/x", "sub_1/x"}
    weights = onnx.load(pulled(NAME) / "model.onnx").graph.initializer
    written = sum(int(np.prod(one.dims)) for one in weights if one.name.endswith((".weight", ".bias")))
    assert written == sum(size for name, size in described.items() if name not in rest)


def test_the_original_dilates_strides_and_enlarges_as_the_recipe_does(pulled: Pulled, archive: Pulled) -> None:
    """The package's own topology writes a dilation as blocks of the batch, around the depthwise convolution."""
    [model] = read_members(archive(NAME), ["package/model/model.json"])
    nodes = {node["name"]: node for node in json.loads(model)["modelTopology"]["node"]}
    ours = {node.name: {one.name: one.ints for one in node.attribute} for node in onnx_nodes(pulled)}
    for block in range(17):
        scope = f"MobilenetV2/expanded_conv{f'_{block}' if block else ''}/depthwise/depthwise"
        strides = [int(side) for side in nodes[scope]["attr"]["strides"]["list"]["i"][1:3]]
        assert ours[f"block{block}.depthwise"]["strides"] == strides
        assert ("dilations" in ours[f"block{block}.depthwise"]) == (f"{scope}/SpaceToBatchND" in nodes)
    assert all(
        node["attr"]["align_corners"] == {"b": True} for node in nodes.values() if node["op"] == "ResizeBilinear"
    )


def onnx_nodes(pulled: Pulled) -> list[onnx.NodeProto]:
    return list(onnx.load(pulled(NAME) / "model.onnx").graph.node)


def test_the_first_label_is_the_background(labels: Callable[[str], list[str]]) -> None:
    assert labels(NAME)[0] == "background"
    assert len(set(labels(NAME))) == 21
    assert [labels(NAME)[index] for index in (6, 8, 15)] == ["bus", "cat", "person"]


def test_the_same_archive_gives_the_same_bytes(archive: Pulled, pulled: Pulled) -> None:
    assert deeplab_voc.build(archive(NAME)).onnx == (pulled(NAME) / "model.onnx").read_bytes()
