"""Real photographs out of test packages, and the ways to encode them."""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files
from typing import Any

from PIL import Image

PHOTOS = {
    "chelsea": ("skimage.data", "chelsea.png"),
    "coffee": ("skimage.data", "coffee.png"),
    "astronaut": ("skimage.data", "astronaut.png"),
    "rocket": ("skimage.data", "rocket.jpg"),
    "china": ("sklearn.datasets", "images/china.jpg"),
    "flower": ("sklearn.datasets", "images/flower.jpg"),
}


@cache
def photo_bytes(name: str) -> bytes:
    package, path = PHOTOS[name]
    return files(package).joinpath(path).read_bytes()


@cache
def photo(name: str = "chelsea", size: tuple[int, int] | None = None) -> Image.Image:
    """A photograph, RGB, not to be changed; `size` is width and height."""
    image = Image.open(io.BytesIO(photo_bytes(name))).convert("RGB")
    return image.resize(size, Image.Resampling.LANCZOS) if size else image


def encoded(image: Image.Image, picture_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    # Copies, because Pillow leaves its encoder's settings on what it saves, and the photographs are shared.
    if "append_images" in options:
        options["append_images"] = [other.copy() for other in options["append_images"]]
    image.copy().save(buffer, picture_format, **options)
    return buffer.getvalue()


@cache
def every_picture() -> dict[str, bytes]:
    """All the pictures that the test packages hold: photographs, scans, drawings, greyscale and palette."""
    folders = (files("skimage.data"), files("sklearn.datasets").joinpath("images"))
    found = {p.name: p for folder in folders for p in folder.iterdir() if p.name.endswith((".png", ".jpg"))}
    return {name: found[name].read_bytes() for name in sorted(found)}


@cache
def large_jpeg(name: str) -> bytes:
    """A photograph as a camera would deliver it: 1600 pixels wide, JPEG."""
    small = photo(name)
    return encoded(photo(name, (1600, round(1600 * small.height / small.width))), "JPEG", quality=90)
