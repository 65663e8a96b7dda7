"""What segmenters' decoders take, what they read, and that the graph reads what NumPy does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from serving.decoders import Array
from serving.errors import ContractInvalid
from tests.unit.decoders.running import decoder_of, in_a_graph, in_numpy

SIZE = (8, 12)
OPSETS = (11, 13, 18)


def noise(*shape: int) -> Array:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def sampled(values: Array, size: tuple[int, int], *, align_corners: bool) -> Array:
    """`[h, w]` at another size, point by point: the bilinear of PyTorch's documentation."""
    out = np.zeros(size)
    for place in np.ndindex(size):
        at = []
        for axis in range(2):
            old, new = values.shape[axis], size[axis]
            raw = place[axis] * (old - 1) / (new - 1) if align_corners else (place[axis] + 0.5) * old / new - 0.5
            at.append(min(max(raw, 0.0), old - 1.0))
        low = [int(np.floor(each)) for each in at]
        for corner in np.ndindex(2, 2):
            weight = np.prod([1 - abs(at[a] - (low[a] + corner[a])) for a in range(2)])
            near = tuple(min(low[a] + corner[a], values.shape[a] - 1) for a in range(2))
            out[place] += weight * values[near]
    return out


MAPS: dict[str, tuple[dict[str, Any], Array]] = {
    "logits": ({"decoder": "logits"}, noise(2, 3, 4, 6)),
    "logits at a quarter": ({"decoder": "logits"}, noise(2, 5, 2, 3)),
    "logits on corners": ({"decoder": "logits", "upsample": "align_corners"}, noise(2, 3, 2, 3)),
    "logits as they are": ({"decoder": "logits", "upsample": "nearest"}, noise(2, 3, 2, 3)),
    "logits with the channels last": ({"decoder": "logits", "channels": "last"}, noise(2, 2, 3, 5)),
    "logits of the input's size": ({"decoder": "logits"}, noise(2, 3, *SIZE)),
    "logits in FP16": ({"decoder": "logits"}, noise(2, 3, 4, 6).astype(np.float16)),
    "class ids": ({"decoder": "class_map"}, np.arange(48).reshape(2, 4, 6)),
    "class ids in a channel": ({"decoder": "class_map"}, np.arange(48, dtype=np.float32).reshape(2, 1, 4, 6)),
    "class ids in a last channel": ({"decoder": "class_map"}, np.arange(48, dtype=np.int32).reshape(2, 4, 6, 1)),
    "class ids in bytes": ({"decoder": "class_map"}, np.arange(48, dtype=np.uint8).reshape(2, 4, 6)),
    "a switch for each point": ({"decoder": "class_map"}, np.arange(48).reshape(2, 4, 6) % 5 == 0),
    "masks": ({"decoder": "masks"}, 4 * noise(2, 3, 4, 6)),
    "masks with the channels last": ({"decoder": "masks", "channels": "last"}, 4 * noise(2, 4, 6, 2)),
    "one mask": ({"decoder": "masks", "upsample": "align_corners"}, 4 * noise(2, 4, 6)),
    "masks of 0..1": ({"decoder": "masks", "activation": "none"}, np.abs(noise(2, 1, 4, 6)) / 4),
    "masks in FP16": ({"decoder": "masks", "upsample": "nearest"}, noise(2, 1, 4, 6).astype(np.float16)),
}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", MAPS)
def test_the_graph_reads_a_map_as_numpy_does(name: str, opset: int) -> None:
    rules, output = MAPS[name]
    decoder = decoder_of("segmentation", rules, SIZE)

    graph, plain = in_a_graph(decoder, opset, out=output), in_numpy(decoder, out=output)

    graph.pop("finite", None)
    for part, expected in plain.items():
        assert graph[part].dtype == np.uint8
        assert graph[part].shape == expected.shape
        np.testing.assert_allclose(graph[part].astype(int), expected, atol=rules["decoder"] == "masks")


@pytest.mark.parametrize("name", MAPS)
def test_a_graph_that_says_nothing_of_its_sizes_is_read_too(name: str) -> None:
    rules, output = MAPS[name]
    decoder = decoder_of("segmentation", rules, SIZE)
    axes: list[int | str] = ["batch", *[f"axis_{axis}" for axis in range(1, output.ndim)]]
    if output.ndim == 4 and rules["decoder"] == "class_map":
        axes[1 if output.shape[1] == 1 else 3] = 1

    graph, plain = in_a_graph(decoder, axes={"out": axes}, out=output), in_numpy(decoder, out=output)

    for part, expected in plain.items():
        np.testing.assert_allclose(graph[part].astype(int), expected, atol=rules["decoder"] == "masks")


@pytest.mark.parametrize("rule", ["half_pixel", "align_corners"])
@pytest.mark.parametrize("shape", [(2, 3), (4, 6), (3, 5), (1, 1), (8, 1)])
def test_logits_are_enlarged_before_the_best_counts(rule: str, shape: tuple[int, int]) -> None:
    logits = noise(1, 4, *shape)
    large = np.stack([sampled(each, SIZE, align_corners=rule == "align_corners") for each in logits[0]])

    found = in_numpy(decoder_of("segmentation", {"decoder": "logits", "upsample": rule}, SIZE), out=logits)

    best = np.take_along_axis(large, found["class_map"].astype(int), axis=0)[0]
    assert found["class_map"].shape == (1, *SIZE)
    np.testing.assert_allclose(best, large.max(axis=0), atol=1e-5)


def test_a_mask_is_enlarged_before_its_sigmoid() -> None:
    logits = 4 * noise(1, 1, 3, 5)

    found = in_numpy(decoder_of("segmentation", {"decoder": "masks"}, SIZE), out=logits)

    large = sampled(logits[0, 0], SIZE, align_corners=False)
    np.testing.assert_allclose(found["mask_levels"][0, 0] / 255, 1 / (1 + np.exp(-large)), atol=0.6 / 255)


def test_the_first_of_equal_classes_is_taken() -> None:
    decoder = decoder_of("segmentation", {"decoder": "logits"}, SIZE)
    equal = np.zeros((1, 5, 2, 3), np.float32)

    assert not in_numpy(decoder, out=equal)["class_map"].any()
    assert not in_a_graph(decoder, out=equal)["class_map"].any()


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32])
def test_ids_that_no_class_can_have_are_none(dtype: Any) -> None:
    decoder = decoder_of("segmentation", {"decoder": "class_map"}, SIZE)
    ids = np.array([[[-(2**31), -1, 0, 1, 254, 255, 256, 2**31 - 1]]]).astype(dtype)

    for found in (in_numpy(decoder, out=ids), in_a_graph(decoder, out=ids)):
        assert found["class_map"].tolist() == [[[255, 255, 0, 1, 254, 255, 255, 255]]]


def test_levels_outside_of_0_to_1_are_brought_into_it() -> None:
    decoder = decoder_of("segmentation", {"decoder": "masks", "activation": "none", "upsample": "nearest"}, SIZE)
    values = np.array([[[-3, 0, 0.5, 0.999, 1, 70000]]], np.float32)

    for found in (in_numpy(decoder, out=values), in_a_graph(decoder, out=values)):
        assert found["mask_levels"].tolist() == [[[[0, 0, 128, 255, 255, 255]]]]


@pytest.mark.parametrize("rule", ["half_pixel", "align_corners", "nearest"])
@pytest.mark.parametrize("decoder", ["logits", "masks"])
def test_a_map_whose_size_follows_the_picture_grows_by_its_stride(decoder: str, rule: str) -> None:
    rules = {"decoder": decoder, "upsample": rule, "stride": 4}
    bound = decoder_of("segmentation", rules, None)
    output = 3 * noise(2, 3, 5, 7)
    expected = {"half_pixel": (20, 28), "align_corners": (17, 25), "nearest": (5, 7)}[rule]

    plain = in_numpy(bound, out=output)
    graph = in_a_graph(bound, axes={"out": ["batch", 3, "height", "width"]}, out=output)

    (part,) = plain
    assert plain[part].shape[-2:] == expected
    np.testing.assert_allclose(graph[part].astype(int), plain[part], atol=decoder == "masks")


REFUSED: Mapping[str, tuple[dict[str, Any], tuple[int | None, ...], int, str]] = {
    "another rank": ({"decoder": "logits"}, (1, 21), 21, r"reads \[n, classes, h, w\]; the graph's output has \[1, 21"),
    "channels that are last": ({"decoder": "logits"}, (1, 65, 64, 21), 21, "21 labels; the graph's output has 65"),
    "one class": ({"decoder": "logits"}, (1, 1, 4, 4), 0, "the decoder 'masks' reads it"),
    "too many classes": ({"decoder": "logits"}, (1, 256, 4, 4), 0, "has 256 classes; a class map holds at most 255"),
    "a map of scores": ({"decoder": "class_map"}, (1, 21, 4, 4), 0, r"reads \[n, h, w\] or \[n, 1, h, w\]"),
    "masks and labels": ({"decoder": "masks"}, (1, 2, 4, 4), 3, "3 labels; the graph's output has 2 classes"),
    "one mask and labels": ({"decoder": "masks"}, (1, 4, 4), 3, "3 labels; the graph's output has 1 classes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_shape_that_does_not_fit_is_refused_with_what_would(name: str) -> None:
    rules, shape, labels, said = REFUSED[name]

    with pytest.raises(ContractInvalid, match=said):
        decoder_of("segmentation", rules, SIZE, labels).bind({"out": shape})


def test_without_a_stride_no_size_can_follow_the_picture() -> None:
    with pytest.raises(ContractInvalid, match=r"output\.stride is missing"):
        decoder_of("segmentation", {"decoder": "logits"}, None).bind({"out": (None, 3, None, None)})


@pytest.mark.parametrize("decoder", ["yolov8_seg", "yolov5_seg", "yolo26_seg"])
@pytest.mark.parametrize("opset", OPSETS)
def test_the_graph_reads_instances_as_numpy_does(decoder: str, opset: int) -> None:
    rules = {"decoder": decoder, "tensor": "rows", "prototypes": "protos", "candidates": 6}
    bound = decoder_of("instance_segmentation", rules, (32, 32), 2)
    scores = np.random.default_rng(1).random((2, 20, 3 if decoder == "yolov5_seg" else 2), np.float32)
    if decoder == "yolo26_seg":
        scores[..., 1] = scores[..., 1] > 0.5  # the class
    rows = np.concatenate([np.abs(noise(2, 20, 4)), scores, noise(2, 20, 5)], axis=2)
    outputs = {
        "rows": rows.transpose(0, 2, 1).copy() if decoder == "yolov8_seg" else rows,
        "protos": 9 * noise(2, 5, 4, 4),
    }

    graph, plain = in_a_graph(bound, opset, None, **outputs), in_numpy(bound, **outputs)

    assert plain["candidate_coefficients"].shape == (2, 6, 5)
    assert plain["prototypes"].dtype == np.float16
    for part, expected in plain.items():
        assert graph[part].dtype == expected.dtype
        np.testing.assert_allclose(graph[part], expected, rtol=1e-3)


def test_a_candidate_keeps_its_own_coefficients() -> None:
    rules = {"decoder": "yolov8_seg", "tensor": "rows", "prototypes": "protos", "candidates": 2}
    rows = np.zeros((1, 4 + 2 + 3, 3), np.float32)
    rows[0, 4:6] = [[0.1, 0.9, 0.2], [0.3, 0.0, 0.8]]
    rows[0, 6:] = np.arange(9).reshape(3, 3)

    found = in_numpy(
        decoder_of("instance_segmentation", rules), rows=rows, protos=np.full((1, 3, 2, 2), 1e6, np.float32)
    )

    assert found["candidate_classes"].tolist() == [[0, 1]]
    assert found["candidate_coefficients"].tolist() == [[[1, 4, 7], [2, 5, 8]]]
    assert np.isfinite(found["prototypes"]).all()


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"rows": (1, 116, 8400), "protos": (1, 32, 160)}, r"reads \[n, M, h, w\]"),
        ({"rows": (1, 116, 8400), "protos": (1, 31, 160, 160)}, "80 labels; the graph's output has 81 classes"),
        ({"rows": (1, 36, 8400), "protos": (1, 32, 160, 160)}, "reads 36 numbers and one for each class"),
        ({"rows": (1, 116, 8400)}, r"output\.prototypes is 'protos'; the graph has the outputs 'rows'"),
    ],
)
def test_prototypes_that_do_not_fit_the_rows_are_refused(shapes: dict[str, Any], said: str) -> None:
    rules = {"decoder": "yolov8_seg", "tensor": "rows", "prototypes": "protos"}

    with pytest.raises(ContractInvalid, match=said):
        decoder_of("instance_segmentation", rules, (640, 640), 80).bind(shapes)


def test_finished_boxes_with_coefficients_are_read_as_corners_with_their_class() -> None:
    rules = {"decoder": "yolo26_seg", "tensor": "rows", "prototypes": "protos", "candidates": 2}
    rows = np.array([[[1, 2, 5, 6, 0.3, 1, 7, 8], [2, 3, 4, 9, 0.8, 0, 5, 6], [0, 0, 0, 0, 0, 0, 0, 0]]], np.float32)

    found = in_numpy(decoder_of("instance_segmentation", rules), rows=rows, protos=np.ones((1, 2, 2, 2), np.float32))

    assert found["candidate_boxes"].tolist() == [[[2, 3, 4, 9], [1, 2, 5, 6]]]
    assert found["candidate_classes"].tolist() == [[0, 1]]
    assert found["candidate_coefficients"].tolist() == [[[5, 6], [7, 8]]]


def test_finished_boxes_whose_coefficients_are_not_as_many_as_the_prototypes_are_refused() -> None:
    rules = {"decoder": "yolo26_seg", "tensor": "rows", "prototypes": "protos"}
    shapes = {"rows": (1, 300, 38), "protos": (1, 31, 160, 160)}

    with pytest.raises(ContractInvalid, match="has 38, and 31 prototypes"):
        decoder_of("instance_segmentation", rules, (640, 640), 80).bind(shapes)
