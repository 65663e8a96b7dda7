"""What the user says of a model, in the place of what cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inspection.errors import AnswerUnfit
from inspection.evidence import Evidence, Finding, LabelSet, Sure
from inspection.labels import labels_in_file

IMAGENET: Final[dict[str, Any]] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SIGNED: Final[dict[str, Any]] = {"scale": 1.0, "mean": (127.5,) * 3, "std": (127.5,) * 3}

NORMALIZATIONS: Final[Mapping[str, tuple[dict[str, Any], str]]] = {
    "imagenet": (IMAGENET, "pixel / 255, then ImageNet's mean and std: torchvision, timm, most PyTorch training"),
    "0..1": ({}, "pixel / 255 and no more: the YOLO family, RT-DETR"),
    "-1..1": (SIGNED, "pixel / 127.5 - 1: TensorFlow and Keras (MobileNet, Inception), Google's ViT"),
    "0..255": ({"scale": 1.0}, "as they are: graphs that do it themselves, YOLOX, Keras' EfficientNet"),
    "clip": (
        {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)},
        "pixel / 255, then CLIP's mean and std: CLIP and what was trained from it",
    ),
    "caffe": (
        {"scale": 1.0, "mean": (123.68, 116.779, 103.939)},
        "ImageNet's mean taken from 0..255, in BGR: Keras' ResNet and VGG, and what came from Caffe",
    ),
    "u2net": ({"scale": "max", **IMAGENET}, "divided by the picture's largest value, then ImageNet's: U²-Net"),
}
RESIZES: Final[Mapping[str, str]] = {
    "letterbox": "the whole picture in its shape, the rest filled with grey: the YOLO family",
    "stretch": "the whole picture, without keeping its shape: most segmenters, RT-DETR, SSD",
    "crop": "the shorter side scaled, and the middle cut out: most classifiers",
    "shortest_edge": "each picture in its own shape and size, for graphs that take any: DETR",
}
_DEFAULT_SHORTER, _DEFAULT_LONGER = 800, 1333
_CROP_SHARE: Final = 0.875


def in_order(rules: Mapping[str, Any], color: str) -> dict[str, Any]:
    """Return rules that speak of red, green and blue in the order of the model's channels."""
    turn = color == "bgr"
    return {key: value[::-1] if turn and isinstance(value, tuple) else value for key, value in rules.items()}


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything that an option can say; None where it says nothing."""

    task: str | None = None
    decoder: str | None = None
    tensor: str | None = None
    labels: Path | None = None
    normalize: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    scale: float | str | None = None
    resize: str | None = None
    shorter_side: int | None = None
    size: tuple[int, int] | None = None
    color: str | None = None
    interpolation: str | None = None
    license: str | None = None
    output: Mapping[str, Any] | None = None
    """Further keys of `output`."""

    def evidence(self) -> Evidence:
        """Return the answers as evidence, which nothing outweighs.

        Raises:
            AnswerUnfit: the file of labels holds none, or a name is none of those that there are.
        """
        return Evidence(findings=tuple(self._findings()), labels=self._labels())

    def resize_rule(self, size: tuple[int, int] | None) -> dict[str, Any] | None:
        """Return the rule of the option for an input of height and width; None without the option."""
        if self.resize is None:
            return None
        rule: dict[str, Any] = {"rule": self.resize}
        if self.resize == "crop":
            least = max(size) if size else 224
            rule["shorter_side"] = self.shorter_side or round(least / _CROP_SHARE)
        elif self.resize == "shortest_edge":
            rule["shorter_side"] = self.shorter_side or _DEFAULT_SHORTER
            rule["longer_side"] = max(_DEFAULT_LONGER, 2 * (self.shorter_side or 0))
        return rule

    def _findings(self) -> Iterator[Finding]:
        if self.resize not in (None, *RESIZES):
            raise AnswerUnfit(f"--resize is {self.resize!r}: one of {', '.join(RESIZES)} is expected")
        if self.color not in (None, "rgb", "bgr"):
            raise AnswerUnfit(f"--color is {self.color!r}: rgb or bgr is expected")
        for key, option, value in (
            ("task", "--task", self.task),
            ("input.color", "--color" if self.color else "--normalize caffe", self._color()),
            ("model.license", "--license", self.license),
        ):
            if value is not None:
                yield Finding(key, value, Sure.GIVEN, option)
        if self.size is not None:
            yield Finding("input.height", self.size[0], Sure.GIVEN, "--size")
            yield Finding("input.width", self.size[1], Sure.GIVEN, "--size")
        rules = self._normalize()
        if rules is not None:
            yield Finding("input.normalize", rules, Sure.GIVEN, "--normalize, --mean, --std or --scale")
        for key, value in (self.output or {}).items():
            yield Finding(f"output.{key}", value, Sure.GIVEN, f"--set output.{key}")

    def _normalize(self) -> dict[str, Any] | None:
        if self.normalize not in (None, *NORMALIZATIONS):
            raise AnswerUnfit(
                f"--normalize is {self.normalize!r}: one of {', '.join(NORMALIZATIONS)} is expected; or say --mean, "
                "--std and --scale"
            )
        said = {"scale": self.scale, "mean": self.mean, "std": self.std}
        given = {key: value for key, value in said.items() if value is not None}
        if self.normalize is None and not given:
            return None
        rules = dict(NORMALIZATIONS[self.normalize][0]) if self.normalize else {}
        return in_order(rules, self._color() or "rgb") | given

    def _color(self) -> str | None:
        """Return the order of colours: the one that is said, or that Caffe's models have."""
        return "bgr" if self.color is None and self.normalize == "caffe" else self.color

    def _labels(self) -> tuple[LabelSet, ...]:
        if self.labels is None:
            return ()
        found = labels_in_file(self.labels)
        if found is None:
            raise AnswerUnfit(
                f"--labels {self.labels} holds no labels: one a line in the order of the class ids, a JSON list or "
                "object, or TensorFlow's label map is expected"
            )
        return (LabelSet(found, f"--labels {self.labels.name}", self.labels.name, is_given=True),)
