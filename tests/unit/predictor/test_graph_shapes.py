from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from predictor.graph import output_shapes, read_graph, with_shapes
from predictor.loading import load

from .graphs import HEIGHT, WIDTH, classifier, contract, directory, model, settings, value

FREE: tuple[Any, ...] = ("n", 3, "height", "width")


def halved(shape: tuple[Any, ...], said: tuple[Any, ...]) -> onnx.ModelProto:
    """A segmenter of two classes and stride 2, whose file says `said` of its output."""
    nodes = [
        helper.make_node("MaxPool", ["images"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Slice", ["small", "zero", "two", "one"], ["logits"]),
    ]
    zero, one, two = (np.array([number]) for number in range(3))
    return model(nodes, [value("images", shape)], [value("logits", said)], zero=zero, one=one, two=two)


@pytest.mark.parametrize("said", [("n", 2, "height", "width"), ("n", 2, 16, 16), ("n", "a", "b", "c")])
def test_what_a_file_says_of_outputs_is_not_believed_where_its_input_is_free(said: tuple[Any, ...]) -> None:
    shapes = output_shapes(with_shapes(halved(FREE, said), contract()))

    assert shapes == {"logits": (None, 2, HEIGHT // 2, WIDTH // 2)}


def test_sizes_that_follow_the_picture_stay_free() -> None:
    graph = halved(FREE, ("n", 2, 16, 16))
    follows = contract(
        input__height=None,
        input__width=None,
        input__resize={"rule": "shortest_edge", "shorter_side": 32, "longer_side": 64},
    )

    assert output_shapes(with_shapes(graph, follows)) == {"logits": (None, 2, None, None)}


def test_what_a_file_says_of_outputs_is_believed_where_its_input_is_not_free() -> None:
    graph = classifier()

    assert output_shapes(with_shapes(graph, contract())) == output_shapes(graph)


def test_of_an_output_that_nothing_is_found_out_of_the_rank_is_believed() -> None:
    """An operator of another domain, say."""
    node = helper.make_node("Strange", ["images"], ["logits"], domain="strange")
    graph = model([node], [value("images", FREE)], [value("logits", (1, 2, 16, 16))])
    graph.opset_import.append(helper.make_opsetid("strange", 1))

    assert output_shapes(with_shapes(graph, contract())) == {"logits": (None, None, None, None)}


def test_a_segmenter_whose_file_is_wrong_about_its_stride_is_served(tmp_path: Path) -> None:
    rules = {"task": "segmentation", "output__decoder": "logits"}

    loaded = load(settings(directory(tmp_path, halved(FREE, ("n", 2, 16, 16)), **rules)))

    assert loaded.outputs[0].name == "class_map"
    assert loaded.outputs[0].shape == (-1, HEIGHT, WIDTH)


def test_an_input_that_no_node_reads_need_not_be_given(tmp_path: Path) -> None:
    graph = classifier()
    graph.graph.input.insert(0, value("normalization/Sqrt/x:0", [1]))
    folder = directory(tmp_path, graph, "a\nb\nc\nd\ne\n")

    assert [each.name for each in read_graph(folder / "model.onnx").graph.input] == ["images"]
    assert [spec.name for spec in load(settings(folder)).inputs] == ["pixels"]
