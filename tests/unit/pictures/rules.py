"""Input rules, and the plain steps that the fast ones must agree with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.contract import CropResize, InputRules, LetterboxResize, ShortestEdgeResize, StretchResize


def rules(resize: dict[str, object], *, height: int = 224, width: int = 224, **others: object) -> InputRules:
    return InputRules.model_validate({"height": height, "width": width, "resize": resize, **others})


def crop(shorter_side: int = 256, interpolation: str = "bilinear", **others: Any) -> InputRules:
    return rules({"rule": "crop", "shorter_side": shorter_side, "interpolation": interpolation}, **others)


def letterbox(**others: Any) -> InputRules:
    keys = ("color", "align", "multiple", "interpolation")
    own: dict[str, object] = {key: others.pop(key) for key in keys if key in others}
    return rules({"rule": "letterbox", **own}, **others)


def shortest_edge(shorter_side: int = 200, longer_side: int = 333, **others: Any) -> InputRules:
    own: dict[str, object] = {key: others.pop(key) for key in ("multiple", "pad", "interpolation") if key in others}
    resize = {"rule": "shortest_edge", "shorter_side": shorter_side, "longer_side": longer_side, **own}
    return InputRules.model_validate({"resize": resize, **others})


def stretch(interpolation: str = "bilinear", **others: Any) -> InputRules:
    return rules({"rule": "stretch", "interpolation": interpolation}, **others)


def plain(image: Image.Image, wanted: InputRules) -> NDArray[np.uint8]:
    """What a training pipeline does with a decoded picture, step by step."""
    image = image.convert("RGB")
    resample = Image.Resampling[wanted.resize.interpolation.upper()]
    if isinstance(wanted.resize, ShortestEdgeResize):
        return _plain_shortest_edge(image, wanted.resize, resample)
    height, width = wanted.largest_size
    box = width, height
    match wanted.resize:
        case StretchResize():
            return np.asarray(image.resize(box, resample))
        case CropResize(shorter_side=shorter):
            return _plain_crop(image, shorter, box, resample)
        case LetterboxResize(color=color, align=align, multiple=multiple):
            if multiple is not None:
                box = _rectangle(image, box, multiple)
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


def _rectangle(image: Image.Image, box: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The box of Ultralytics' `auto=True`: of the padding, what is left over of whole multiples."""
    ratio = min(box[0] / image.width, box[1] / image.height)
    inner = max(round(image.width * ratio), 1), max(round(image.height * ratio), 1)
    return inner[0] + (box[0] - inner[0]) % multiple, inner[1] + (box[1] - inner[1]) % multiple


def _plain_shortest_edge(
    image: Image.Image, resize: ShortestEdgeResize, resample: Image.Resampling
) -> NDArray[np.uint8]:
    width, height = hugging_face_size(*image.size, resize.shorter_side, resize.longer_side)
    if resize.pad is None:
        width, height = (max(1, round(side / resize.multiple)) * resize.multiple for side in (width, height))
        return np.asarray(image.resize((width, height), resample))
    out = np.empty((height + -height % resize.multiple, width + -width % resize.multiple, 3), np.uint8)
    out[:] = resize.pad
    out[:height, :width] = np.asarray(image.resize((width, height), resample))
    return out


def hugging_face_size(width: int, height: int, size: int, max_size: int) -> tuple[int, int]:
    """`get_size_with_aspect_ratio` of transformers' DETR, in width and height; no side is 0."""
    smallest, largest = float(min(width, height)), float(max(width, height))
    raw = float(size)
    if largest / smallest * size > max_size:
        raw = max_size * smallest / largest
        size = round(raw)
    if width < height:
        return max(1, size), max(1, int(raw * height / width))
    return max(1, int(raw * width / height)), max(1, size)
