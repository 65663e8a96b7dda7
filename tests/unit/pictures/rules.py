"""Input rules, and the plain steps that the fast ones must agree with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.contract import CropResize, InputRules, LetterboxResize, StretchResize


def rules(resize: dict[str, object], *, height: int = 224, width: int = 224, **others: object) -> InputRules:
    return InputRules.model_validate({"height": height, "width": width, "resize": resize, **others})


def crop(shorter_side: int = 256, interpolation: str = "bilinear", **others: Any) -> InputRules:
    return rules({"rule": "crop", "shorter_side": shorter_side, "interpolation": interpolation}, **others)


def letterbox(**others: Any) -> InputRules:
    own: dict[str, object] = {key: others.pop(key) for key in ("color", "align", "interpolation") if key in others}
    return rules({"rule": "letterbox", **own}, **others)


def stretch(interpolation: str = "bilinear", **others: Any) -> InputRules:
    return rules({"rule": "stretch", "interpolation": interpolation}, **others)


def plain(image: Image.Image, wanted: InputRules) -> NDArray[np.uint8]:
    """What a training pipeline does with a decoded picture, step by step."""
    image = image.convert("RGB")
    resample = Image.Resampling[wanted.resize.interpolation.upper()]
    box = wanted.width, wanted.height
    match wanted.resize:
        case StretchResize():
            return np.asarray(image.resize(box, resample))
        case CropResize(shorter_side=shorter):
            return _plain_crop(image, shorter, box, resample)
        case LetterboxResize(color=color, align=align):
            return _plain_letterbox(image, box, resample, color, centered=align == "center")


def _plain_crop(
    image: Image.Image, shorter: int, box: tuple[int, int], resample: Image.Resampling
) -> NDArray[np.uint8]:
    width, height = image.size
    if width < height:
        whole = image.resize((shorter, int(shorter * height / width)), resample)
    else:
        whole = image.resize((int(shorter * width / height), shorter), resample)
    left, top = int(round((whole.width - box[0]) / 2.0)), int(round((whole.height - box[1]) / 2.0))  # noqa: RUF046
    return np.asarray(whole.crop((left, top, left + box[0], top + box[1])))


def _plain_letterbox(
    image: Image.Image,
    box: tuple[int, int],
    resample: Image.Resampling,
    color: tuple[int, int, int],
    *,
    centered: bool,
) -> NDArray[np.uint8]:
    ratio = min(box[0] / image.width, box[1] / image.height)
    inner = max(round(image.width * ratio), 1), max(round(image.height * ratio), 1)
    left, top = (round((box[axis] - inner[axis]) / 2 - 0.1) if centered else 0 for axis in (0, 1))
    out = np.empty((box[1], box[0], 3), np.uint8)
    out[:] = color
    out[top : top + inner[1], left : left + inner[0]] = np.asarray(image.resize(inner, resample))
    return out
