"""The second step: pixels.

What a picture becomes, for exactness with training pipelines, is what Pillow's ``convert("RGB")`` makes of it, but for
16-bit greyscale and 32-bit samples:

- Alpha is dropped, not laid over a color: torchvision, timm, Ultralytics and Hugging Face do so.
- CMYK is read as Adobe writes it (inverted), and turned to RGB without a profile; so are YCCK and YCbCr.
- ICC profiles are ignored, as by every loader above.
- 16-bit samples keep their high byte. Pillow does so for RGB, but clips greyscale at 255, which turns it white.
- 32-bit integers and floats have no range that would say what white is, and are refused.

Pillow releases the GIL while it decodes, turns and converts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from math import ceil

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from serving.errors import ImageTooLarge, ImageUnsupported
from transformer.pictures.faults import PILLOW_FAULTS, corrupt
from transformer.pictures.formats import FORMATS
from transformer.pictures.header import Header
from transformer.pictures.orientation import TURNS, turned_corner, turned_size

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""

_GREY = frozenset({"1", "L", "LA", "La"})
_UNBOUNDED = frozenset({"I", "F"})
_SCALES = (8, 4, 2)
"""What Pillow has libjpeg divide the sides by."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded picture, turned as a person sees it."""

    image: Image.Image = field(repr=False)
    """Pillow's mode RGB, or L where the picture is grey: a third of the work, and the same pixels after a resize."""
    width: int
    """Of the original, in pixels: `image` is smaller where a JPEG was decoded to scale."""
    height: int
    format: str
    extent: Box
    """What the original covers of `image`: all of it, or less where a scaled JPEG ends within its last pixel."""


def decode(header: Header, *, cover: tuple[int, int] | None = None) -> Picture:
    """Decode the first frame, and turn it as EXIF says.

    `cover` is a width and a height, after the turn, that the decoded picture must not be smaller than in either axis: a
    JPEG is then decoded at the smallest of 1, 1/2, 1/4 and 1/8 that covers it. None decodes every pixel.

    The turn comes before any resize. After it would be cheaper, but not the same: Pillow resizes columns and rows in
    two passes, one after the other, and rounds between them.

    Raises:
        ImageCorrupt: the pixels cannot be decoded to the end.
        ImageUnsupported: the samples have no fixed range.
        ImageTooLarge: it is over Pillow's own bound, which only `max_pixels` over 89 million can reach.
    """
    try:
        image, extent = _decoded(header, cover)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(
            str(error), unit="pixels", limit=Image.MAX_IMAGE_PIXELS, found=header.width * header.height
        ) from error
    except PILLOW_FAULTS as error:
        raise corrupt(header.format, error) from error
    box = turned_corner(image.size, extent, header.orientation)
    if header.orientation in TURNS:
        image = image.transpose(TURNS[header.orientation])
    return Picture(image, header.width, header.height, header.format, box)


def decoding_bytes(header: Header, cover: tuple[int, int] | None) -> int:
    """Return the bytes of memory that `decode` takes at most at any one time."""
    width, height = decoded_size(header, cover)
    decoding = header.weight.beside + header.weight.peak * width * height
    turning = 2 * header.weight.kept * width * height if header.orientation in TURNS else 0
    return max(decoding, turning)


def decoded_size(header: Header, cover: tuple[int, int] | None) -> tuple[int, int]:
    """Return the width and height of the image that `decode` makes."""
    scale = 1
    if cover is not None and header.format == "JPEG":
        wanted = min(header.width // cover[0], header.height // cover[1])
        scale = next((each for each in _SCALES if each <= wanted), 1)
    return ceil(header.width / scale), ceil(header.height / scale)


def _decoded(header: Header, cover: tuple[int, int] | None) -> tuple[Image.Image, tuple[float, float]]:
    """Return the image, and the width and height that the whole picture covers of it, before the turn.

    Pillow's reader, and what it holds, is gone by then.
    """
    with FORMATS[header.format].open(BytesIO(header.stream)) as source:
        if source.mode in _UNBOUNDED:
            raise ImageUnsupported(
                f"the pixels are 32-bit ({source.mode}), without a range: send 8 or 16 bits per channel",
                mode=source.mode,
            )
        extent = _scale(source, header, cover)
        return _to_rgb_or_grey(source), extent


def _scale(source: ImageFile, header: Header, cover: tuple[int, int] | None) -> tuple[float, float]:
    """Choose the scale that a JPEG is decoded at.

    Return the width and height that the whole picture then covers of the decoded one, before the turn.
    """
    if cover is not None and isinstance(source, JpegImageFile):
        drafted = source.draft("RGB", turned_size(cover, header.orientation))
        if drafted is not None:
            _, (_, _, width, height) = drafted
            return width, height
    return source.size


def _to_rgb_or_grey(source: ImageFile) -> Image.Image:
    """Decode `source` into mode RGB, or L where it has no color."""
    source.load()
    # A transparent color is carried over, with a warning or another conversion, only to be dropped with the alpha.
    source.info.pop("transparency", None)
    if source.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(source) >> 8).astype(np.uint8))
    mode = "L" if source.mode in _GREY else "RGB"
    return source if source.mode == mode else source.convert(mode)
