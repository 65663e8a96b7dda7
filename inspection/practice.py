"""What is usual: how the makers of a kind of model bring a picture to its input, where no file says it.

Sources: ultralytics `LetterBox` and `classify_transforms`; YOLOX `ValTransform` (BGR, 0..255, top left); RT-DETR's and
D-FINE's READMEs (0..1, stretched); facebookresearch/detr (`RandomResize([800], max_size=1333)`, ImageNet's mean and
std); torchvision's `GeneralizedRCNNTransform` (inside the graph); xuebinqin/U-2-Net `RescaleT`, `ToTensorLab`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from inspection.answers import IMAGENET, SIGNED, in_order
from inspection.arithmetic import arithmetic_of
from inspection.evidence import Finding, Sure
from inspection.outputs import Reading, Scene, is_deeplab, is_u2net
from inspection.picture_input import PictureInput

_CROP_SHARE: Final = 0.875
_LETTERBOX: Final[dict[str, Any]] = {"rule": "letterbox"}
_ULTRALYTICS: Final[dict[str, Any]] = {"rule": "letterbox", "interpolation": "opencv_linear"}
_YOLOX: Final[dict[str, Any]] = {"rule": "letterbox", "align": "top_left", "interpolation": "opencv_linear"}
_STRETCH: Final[dict[str, Any]] = {"rule": "stretch"}
_PADDLE: Final[dict[str, Any]] = {"rule": "stretch", "interpolation": "opencv_cubic"}
_OPENMMLAB: Final[dict[str, Any]] = {"scale": 1.0, "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
_DETR: Final[dict[str, Any]] = {"rule": "shortest_edge", "shorter_side": 800, "longer_side": 1333}


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual rules of one kind of model, and whose they are."""

    whose: str
    resize: Mapping[str, Any]
    normalize: Mapping[str, Any]
    color: str = "rgb"
    sure: Sure = Sure.GUESSED
    normalize_sure: Sure = Sure.GUESSED
    size: int | None = None
    """The side of the square that it is trained with."""
    size_sure: Sure = Sure.OPEN


_DETECTORS: Final[Mapping[str, Usual]] = {
    "yolox": Usual("YOLOX's own training", _YOLOX, {"scale": 1.0}, "bgr", size=640, size_sure=Sure.GUESSED),
    "detr": Usual("DETR's training", _DETR, IMAGENET, normalize_sure=Sure.OPEN),
    "rtdetr": Usual("RT-DETR's and D-FINE's training", _STRETCH, {}, size=640, size_sure=Sure.GUESSED),
    "torchvision": Usual("torchvision, whose graph normalises by itself", _DETR, {}, normalize_sure=Sure.DERIVED),
    "ssd": Usual("SSD's training", _STRETCH, SIGNED, normalize_sure=Sure.OPEN, size=300),
    "mmdeploy": Usual("MMDetection's training", _DETR, _OPENMMLAB, normalize_sure=Sure.OPEN),
    "paddle": Usual("PP-YOLOE's training", _PADDLE, {}, normalize_sure=Sure.OPEN, size=640, size_sure=Sure.GUESSED),
    "yolo_nas": Usual("YOLO-NAS' training", _LETTERBOX, {}, normalize_sure=Sure.OPEN, size=640),
    "onnx_zoo_ssd": Usual("SSD of ONNX's model zoo", _STRETCH, IMAGENET, size=1200, size_sure=Sure.GUESSED),
    "finished": Usual("detectors", _STRETCH, {}, normalize_sure=Sure.OPEN, size=640),
    "tensorflow": Usual("TensorFlow's detection API", _STRETCH, {"scale": 1.0}, normalize_sure=Sure.OPEN, size=640),
}
_MAKERS: Final = frozenset({"ultralytics", "yolov5"})
_ULTRALYTICS_RULES: Final = Usual(
    "Ultralytics' exports",
    _ULTRALYTICS,
    {},
    sure=Sure.DERIVED,
    normalize_sure=Sure.DERIVED,
    size=640,
    size_sure=Sure.GUESSED,
)
_RTDETR_OF_ULTRALYTICS: Final = replace(
    _ULTRALYTICS_RULES, whose="Ultralytics' RT-DETR", resize={"rule": "stretch", "interpolation": "opencv_linear"}
)
_YOLO: Final = Usual("the YOLO family's training", _LETTERBOX, {}, size=640, size_sure=Sure.GUESSED)


def usual(scene: Scene, reading: Reading, picture: PictureInput) -> Iterator[Finding]:
    """Tell what is usual of the input, and what the graph's own first nodes say of it."""
    yield from _of_the_graph(scene, picture)
    found = _usual(scene, reading)
    source = f"usual in {found.whose}"
    size = scene.size or ((found.size, found.size) if found.size else None)
    if scene.size is None and size is not None and found.resize["rule"] != "shortest_edge":
        yield Finding("input.height", size[0], found.size_sure, source)
        yield Finding("input.width", size[1], found.size_sure, source)
    rule = dict(found.resize)
    if rule["rule"] == "crop" and "shorter_side" not in rule:
        rule["shorter_side"] = round(max(size or (224, 224)) / _CROP_SHARE)
    yield Finding("input.resize", rule, found.sure, source)
    said = scene.dossier.find("input.color")
    order = found.color if said is None else str(said.value)
    yield Finding("input.normalize", in_order(found.normalize, order), found.normalize_sure, source)
    yield Finding("input.color", found.color, found.sure, source)


def _of_the_graph(scene: Scene, picture: PictureInput) -> Iterator[Finding]:
    value = picture.value
    if value.datatype == "UINT8":
        yield Finding("input.normalize", {"scale": 1.0}, Sure.DERIVED, f"the graph takes bytes ({value})")
        return
    affine = arithmetic_of(scene.graph.heads.get(value.name, ()))
    if affine is not None:
        rules = {"scale": 1.0} if affine.takes_bytes else {}
        takes = "0..255" if affine.takes_bytes else "0..1"
        yield Finding("input.normalize", rules, Sure.DERIVED, f"the graph begins with {affine}: it takes {takes}")


def _usual(scene: Scene, reading: Reading) -> Usual:
    families = set(scene.dossier.families)
    if reading.task in ("detection", "instance_segmentation"):
        return _detector(scene, reading, families)
    if reading.task == "segmentation":
        return _ULTRALYTICS_RULES if "ultralytics" in families else _segmenter(scene)
    if reading.task == "raw":
        return _ULTRALYTICS_RULES if families & _MAKERS else Usual("all kinds", _STRETCH, {}, normalize_sure=Sure.OPEN)
    if "ultralytics" in families:
        size = max(scene.size or (224, 224))
        rule = {"rule": "crop", "shorter_side": size}
        return Usual("Ultralytics' classifiers", rule, {}, sure=Sure.DERIVED, normalize_sure=Sure.DERIVED, size=224)
    if scene.layout == "NHWC":
        return Usual("TensorFlow's and Keras' classifiers", _STRETCH, SIGNED, normalize_sure=Sure.OPEN, size=224)
    crop = {"rule": "crop"}
    return Usual("classifiers trained with PyTorch", crop, IMAGENET, normalize_sure=Sure.OPEN, size=224)


def _detector(scene: Scene, reading: Reading, families: set[str]) -> Usual:
    makers = families & _MAKERS
    is_rtdetr = reading.decoder in ("yolov8", "yolov10") and reading.output.get("box_unit") == "normalized"
    if is_rtdetr:
        return _RTDETR_OF_ULTRALYTICS if "ultralytics" in makers else _DETECTORS["rtdetr"]
    if makers and reading.decoder not in _DETECTORS:
        return _ULTRALYTICS_RULES
    found = _DETECTORS.get(reading.family) or _DETECTORS.get(reading.decoder, _YOLO)
    if reading.decoder == "ssd" and reading.output.get("box_unit") == "pixels":
        found = replace(_YOLO, whose="detectors without anchors", normalize_sure=Sure.OPEN)
    if reading.decoder == "detr" and scene.size is not None:  # RT-DETR's kin, which has one size, and stretches to it
        return replace(found, resize=_STRETCH)
    return found


def _segmenter(scene: Scene) -> Usual:
    if is_u2net(scene):
        rules = {"scale": "max", **IMAGENET}
        stretch = {"rule": "stretch", "interpolation": "lanczos"}
        return Usual("U²-Net, whose seven masks these are", stretch, rules, size=320)
    if is_deeplab(scene):
        filled = {"rule": "letterbox", "align": "top_left", "color": (128, 128, 128)}
        return Usual("TensorFlow's DeepLab, whose sides are 16 k + 1", filled, SIGNED, normalize_sure=Sure.OPEN)
    return Usual("segmenters", _STRETCH, IMAGENET, normalize_sure=Sure.OPEN, size=512)
