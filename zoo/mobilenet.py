"""The layers of MobileNetV2 (Sandler et al. 2018, table 2), which a classifier and a segmenter of the zoo share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from zoo.layers import Float32

if TYPE_CHECKING:
    from zoo.graph import Graph

Folded = Callable[[str], tuple[Float32, Float32]]
"""From a layer's name to its weight `[out, in, k, k]` and bias `[out]`, batch normalisation folded in. The names are
`stem`, `block3.expand`, `block3.depthwise` and `block3.project`, for blocks 0 to 16."""


class _Stage(NamedTuple):
    """A run of inverted residual blocks, whose first strides and widens, so has no shortcut."""

    repeats: int
    stride: int


_STAGES = (_Stage(1, 1), _Stage(2, 2), _Stage(3, 2), _Stage(4, 2), _Stage(3, 1), _Stage(3, 2), _Stage(1, 1))


class _Block(NamedTuple):
    name: str
    stride: int
    dilation: int
    shortcut: bool


def add_backbone(graph: Graph, x: str, folded: Folded, *, output_stride: int) -> str:
    """Add the stem and the 17 blocks, and return the last one's value `[n, 320, h / output_stride, ...]`.

    Padding is symmetric: PyTorch's way, and TensorFlow's SAME where a side is odd before each stride, as 513 is.

    Args:
        graph: where the layers go.
        x: the normalised pictures `[n, 3, h, w]`.
        folded: the weights.
        output_stride: 32 as the classifier has it; 8 keeps a finer map: later strides become dilations (Chen et al.
            2017, section 3.1; `mobilenet_base` in TensorFlow's slim).
    """
    x = _conv(graph, "stem", x, folded, stride=2)
    for block in _blocks(output_stride):
        y = x
        if block.name != "block0":  # which has nothing to expand
            y = _conv(graph, f"{block.name}.expand", y, folded)
        y = _conv(graph, f"{block.name}.depthwise", y, folded, stride=block.stride, dilation=block.dilation)
        y = graph.conv(f"{block.name}.project", y, *folded(f"{block.name}.project"))
        x = graph.add(f"{block.name}.shortcut", x, y) if block.shortcut else y
    return x


def _blocks(output_stride: int) -> Iterator[_Block]:
    index, reached, rate = 0, 2, 1
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            if reached == output_stride:
                yield _Block(f"block{index}", stride=1, dilation=rate, shortcut=repeat > 0)
                rate *= stride
            else:
                yield _Block(f"block{index}", stride=stride, dilation=1, shortcut=repeat > 0)
                reached *= stride
            index += 1


def _conv(graph: Graph, name: str, x: str, folded: Folded, *, stride: int = 1, dilation: int = 1) -> str:  # noqa: PLR0913 - a convolution's own parameters
    weight, bias = folded(name)
    channels, per_group, kernel, _ = weight.shape
    pad = (kernel - 1) // 2 * dilation
    groups = channels if per_group == 1 else 1
    y = graph.conv(name, x, weight, bias, stride=stride, pads=(pad, pad), groups=groups, dilation=dilation)
    return graph.relu6(f"{name}.relu6", y)
