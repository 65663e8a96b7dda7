"""How a drawn picture is written."""

from __future__ import annotations

from enum import StrEnum
from io import BytesIO
from typing import Any, Final

from PIL import Image


class PictureFormat(StrEnum):
    """The formats of drawn pictures, by Pillow's names."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"

    @property
    def media_type(self) -> str:
        """The content type."""
        return f"image/{self.lower()}"

    @property
    def suffix(self) -> str:
        """The end of a file's name."""
        return ".jpg" if self is PictureFormat.JPEG else f".{self.lower()}"


DEFAULT_FORMAT: Final = PictureFormat.JPEG
"""A photograph stays small; without chroma subsampling, colored lines and letters stay sharp too."""

OPTIONS: Final[dict[PictureFormat, dict[str, Any]]] = {
    PictureFormat.JPEG: {"quality": 90, "subsampling": "4:4:4"},
    PictureFormat.PNG: {"compress_level": 3},
    PictureFormat.WEBP: {"quality": 88, "method": 2},
}


def encode(image: Image.Image, picture_format: PictureFormat) -> bytes:
    """Return a picture as a file's bytes."""
    buffer = BytesIO()
    image.save(buffer, picture_format.value, **OPTIONS[picture_format])
    return buffer.getvalue()
