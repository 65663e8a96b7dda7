"""The pictures that are sent: photographs of scikit-learn and scikit-image, as a camera or a phone would send them."""

from __future__ import annotations

import io
from importlib.resources import files
from typing import Final

from PIL import Image, ImageOps

PHOTOS: Final = (
    ("sklearn.datasets", "images/china.jpg"),
    ("skimage.data", "coffee.png"),
    ("skimage.data", "astronaut.png"),
    ("skimage.data", "chelsea.png"),
)
SIZE: Final = (1280, 853)
"""Width and height, in pixels."""
QUALITY: Final = 90


def make_pictures() -> list[bytes]:
    """Return the photographs as JPEG, 1280x853 at quality 90, 150 to 270 KB each."""
    return [_jpeg(files(package).joinpath(path).read_bytes()) for package, path in PHOTOS]


def _jpeg(encoded: bytes) -> bytes:
    with Image.open(io.BytesIO(encoded)) as source:
        image = ImageOps.fit(source.convert("RGB"), SIZE, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
