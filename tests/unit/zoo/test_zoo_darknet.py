"""The Darknet reader on small networks, against what each layer is defined as."""

from __future__ import annotations

import struct

import numpy as np
import onnxruntime
import pytest
from numpy.typing import ArrayLike, NDArray

from zoo.darknet import add_network
from zoo.errors import WeightsInvalid
from zoo.graph import Graph

Float32 = NDArray[np.float32]

NET = "[net]\nbatch=64 # for training\nwidth=8\nheight=4\nchannels=3\n\n"
YOLO = "[yolo]\nmask=1\nanchors=1,2, 3,5\nclasses=2\nnum=2\njitter=.3\n"
LINEAR = "[convolutional]\nfilters=7\nsize=1\nstride=1\npad=1\nactivation=linear\n"
ONE = NET + LINEAR + YOLO


def blob(*numbers: ArrayLike) -> bytes:
    flat = [np.ravel(np.asarray(array, "<f4")) for array in numbers]
    return struct.pack("<iiiq", 0, 2, 5, 32013312) + b"".join(array.tobytes() for array in flat)


def random(*shape: int, low: float = -1, high: float = 1) -> Float32:
    return np.random.default_rng(sum(shape)).uniform(low, high, shape).astype(np.float32)


def sigmoid(x: Float32) -> Float32:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def run(config: str, weights: bytes, pixels: Float32) -> Float32:
    """The network's rows `[n, boxes, 7]` of pictures `[n, 3, 4, 8]`."""
    graph = Graph("network")
    shapes = add_network(graph, config, weights)
    session = onnxruntime.InferenceSession(graph.to_bytes(shape_in=shapes.input, shape_out=shapes.output))
    [rows] = session.run(None, {"input": pixels})
    assert list(rows.shape[1:]) == list(shapes.output[1:])
    return np.asarray(rows, np.float32)


def network(layers: str, channels: int, *before: ArrayLike) -> tuple[str, bytes]:
    """A network that ends in seven of `channels`, each as it is, before a [yolo]."""
    return NET + layers + LINEAR + YOLO, blob(*before, np.zeros(7), np.eye(7, channels))


def logits(rows: Float32, height: int, width: int) -> Float32:
    """Undo the score's sigmoid: the last three of seven channels, `[n, 3, height, width]`."""
    scores = rows[:, :, 4:]
    undone = np.log(scores / (1 - scores))
    return np.asarray(undone.transpose(0, 2, 1).reshape(len(rows), 3, height, width), np.float32)


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_boxes_are_decoded_as_darknet_does(scale: float) -> None:
    weight, bias, pixels = random(7, 3), random(7), random(2, 3, 4, 8)
    rows = run(f"{ONE}scale_x_y={scale}\n", blob(bias, weight), pixels)

    t = np.einsum("oc,nchw->nohw", weight, pixels) + bias[:, None, None]
    for picture in range(2):
        for y in range(4):
            for x in range(8):
                cell = t[picture, :, y, x]
                expected = [
                    (sigmoid(cell[0]) * scale - (scale - 1) / 2 + x) / 8 * 8,
                    (sigmoid(cell[1]) * scale - (scale - 1) / 2 + y) / 4 * 4,
                    3 * np.exp(cell[2]),
                    5 * np.exp(cell[3]),
                    *sigmoid(cell[4:]),
                ]
                np.testing.assert_allclose(rows[picture, y * 8 + x], expected, rtol=1e-4, atol=1e-5)


def test_a_cell_is_as_large_as_the_input_has_pixels_for_it() -> None:
    config, weights = network("[maxpool]\nsize=2\nstride=2\n", 3)
    rows = run(config, weights, np.full((1, 3, 4, 8), -100, np.float32))  # every sigmoid of a centre is 0
    assert rows[0, :, 0].tolist() == [0, 2, 4, 6] * 2
    assert rows[0, :, 1].tolist() == [0] * 4 + [2] * 4


def test_a_convolution_is_normalised_then_leaky() -> None:
    beta, gamma, mean, weight = random(7), random(7, low=0.5), random(7), random(7, 3, 3, 3)
    variance = random(7, low=0.1, high=2)
    layer = "[convolutional]\nbatch_normalize=1\nfilters=7\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    config, weights = network(layer, 7, beta, gamma, mean, variance, weight)
    pixels = random(1, 3, 4, 8)

    padded = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    y = np.einsum("nchwij,ocij->nohw", windows, weight)
    y = (y - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5) * gamma[:, None, None]
    y = y + beta[:, None, None]
    expected = np.where(y > 0, y, 0.1 * y)[:, 4:]

    np.testing.assert_allclose(logits(run(config, weights, pixels), 2, 4), expected, rtol=1e-3, atol=1e-4)


def test_a_pooling_pads_behind_the_picture_with_nothing() -> None:
    """Size 2 and stride 1, as in YOLOv3-tiny: the last row and column are as large as their neighbours before."""
    layers = "[convolutional]\nfilters=7\nsize=1\nactivation=linear\n[maxpool]\nsize=2\nstride=1\n"
    weight, pixels = random(7, 3), random(1, 3, 4, 8)
    config, weights = network(layers, 7, np.full(7, -5), weight)

    y = np.einsum("oc,nchw->nohw", weight, pixels)[:, 4:] - 5
    padded = np.pad(y, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-np.inf)
    expected = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), axis=(2, 3)).max(axis=(-2, -1))
    np.testing.assert_allclose(logits(run(config, weights, pixels), 4, 8), expected, rtol=1e-3, atol=1e-3)


def test_a_route_takes_a_group_of_channels_and_joins_layers() -> None:
    layers = (
        "[convolutional]\nfilters=4\nsize=1\nactivation=linear\n"
        "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"  # channels 2 and 3
        "[route]\nlayers=-1, 0, -1\n"  # 2 3, 0 1 2 3, 2 3
    )
    weight, pixels = random(4, 3), random(1, 3, 4, 8)
    config, weights = network(layers, 8, np.zeros(4), weight)
    y = np.einsum("oc,nchw->nohw", weight, pixels)
    rows = run(config, weights, pixels)
    np.testing.assert_allclose(logits(rows, 4, 8), y[:, [2, 3, 2]], rtol=1e-3, atol=1e-4)


def test_an_upsampling_repeats_pixels() -> None:
    layers = "[convolutional]\nfilters=7\nsize=1\nactivation=linear\n[upsample]\nstride=2\n"
    weight, pixels = random(7, 3), random(1, 3, 4, 8)
    config, weights = network(layers, 7, np.zeros(7), weight)
    y = np.einsum("oc,nchw->nohw", weight, pixels)[:, 4:].repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(logits(run(config, weights, pixels), 8, 16), y, rtol=1e-3, atol=1e-4)


def test_the_rows_of_an_anchor_stand_together_and_those_of_the_first_yolo_first() -> None:
    two = ONE.replace("mask=1", "mask=1,0").replace("filters=7", "filters=14") + "[route]\nlayers=0\n" + YOLO
    config = two.replace(YOLO, "[maxpool]\nsize=2\nstride=2\n" + LINEAR + YOLO)
    weights = blob(np.zeros(14), np.zeros((14, 3)), np.zeros(7), np.zeros((7, 14)))
    rows = run(config, weights, np.zeros((1, 3, 4, 8), np.float32))
    assert rows[0, :, 2].tolist() == [3] * 32 + [1] * 32 + [3] * 8  # the anchors' widths
    assert rows[0, :, 3].tolist() == [5] * 32 + [2] * 32 + [5] * 8


@pytest.mark.parametrize("change", [-1, 1])
def test_weights_must_be_as_many_as_the_network_uses(change: int) -> None:
    with pytest.raises(WeightsInvalid, match=r"cut short: the network needs more than their 27|uses only 28"):
        add_network(Graph("network"), ONE, blob(np.zeros(28 + change)))


@pytest.mark.parametrize("cut", [0, 3, 10, 19, 21])
def test_weights_that_end_within_a_number_are_refused(cut: int) -> None:
    with pytest.raises(WeightsInvalid, match=rf"are {cut} bytes, not a header of \d\d and float32 numbers"):
        add_network(Graph("network"), ONE, blob(np.zeros(28))[:cut])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", "text is empty"),
        ("[convolutional]\nfilters=7\n", r"begins with \[convolutional\] where \[net\]"),
        (ONE + "[dropout]\nprobability=.5\n", r"layer 2 is a \[dropout\], which is not read; net, convolutional"),
        (ONE + "[net]\n", r"layer 2 is a second \[net\]"),
        (ONE.replace("jitter", "new_coords"), r"layer 1 \[yolo\] has the option new_coords, which is not read"),
        (ONE.replace("pad=1", "dilation=2"), r"layer 0 \[convolutional\] has the option dilation"),
        (ONE.replace("linear", "mish"), "layer 0 has the activation mish, which is not read; leaky and linear are"),
        (ONE.replace("activation=linear\n", ""), r"layer 0 \[convolutional\] does not say its activation"),
        (ONE.replace("filters=7", "filters=many"), r"layer 0 \[convolutional\] has filters=many, not numbers"),
        (ONE.replace("filters=7", "filters=7.5"), "filters=7.5, not whole numbers"),
        (ONE.replace("filters=7", "filters=0"), "filters=0, not a number above 0"),
        (ONE.replace("classes=2", "classes=3"), r"layer 1 \[yolo\] needs 8 channels and has 7"),
        (ONE.replace("mask=1", "mask=2"), "mask=2, which are not all anchors"),
        (ONE.replace("num=2", "num=3"), "4 anchor numbers for num=3"),
        (ONE.replace("width=8", "width"), "a line that is not understood: width"),
        (NET + LINEAR, r"has no \[yolo\] layers"),
        (NET + LINEAR + "[route]\nlayers=-2\n", r"layer 1 \[route\] goes to -2, which is no earlier layer"),
        (NET + LINEAR + "[route]\nlayers=1\n", "goes to 1, which is no earlier layer"),
        (NET + LINEAR + "[route]\nlayers=0\ngroups=2\ngroup_id=0\n", "7 channels have no part 0 of 2"),
        (NET + LINEAR + "[maxpool]\nstride=2\n[route]\nlayers=0,1\n", "joins layers of different sizes"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(config: str, said: str) -> None:
    with pytest.raises(WeightsInvalid, match=said):
        add_network(Graph("network"), config, blob(np.zeros(28)))


def test_transposed_weights_are_refused() -> None:
    with pytest.raises(WeightsInvalid, match="transposed"):
        add_network(Graph("network"), ONE, struct.pack("<iiiq", 1000, 2, 5, 0) + bytes(28 * 4))


def test_an_old_header_has_a_shorter_count_of_pictures() -> None:
    weights = struct.pack("<iiii", 0, 1, 0, 0) + np.zeros(28, "<f4").tobytes()
    assert run(ONE, weights, random(1, 3, 4, 8)).shape == (1, 32, 7)
