"""The picture formats that can be allowed: how each is told, outlined and opened.

Pillow's plugins are constructed here by name, and `Image.open` is not used. So no plugin runs that is not in this
table; Pillow's list of plugins, filled on first use, is no matter between threads; and its bound on pixels
(`Image.MAX_IMAGE_PIXELS`, process-wide, a warning and then an error) is neither changed nor, but for GIF and TIFF of
over 89 million pixels and WebP of over 178 million, met: the limits are our own, and asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from transformer.pictures.formats import bmp, gif, jpeg, png, tiff, webp
from transformer.pictures.formats.outline import Outline, Weight


@dataclass(frozen=True, slots=True)
class Format:
    """One format: whether the first 18 bytes are its, the outline of a whole picture, and the decoder of its stream."""

    matches: Callable[[bytes], bool]
    outline: Callable[[bytes], Outline]
    open: Callable[[BytesIO], ImageFile]


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "JPEG": Format(jpeg.is_jpeg, jpeg.outline, JpegImageFile),
        "PNG": Format(png.is_png, png.outline, PngImageFile),
        "WEBP": Format(webp.is_webp, webp.outline, WebPImageFile),
        "BMP": Format(bmp.is_bmp, bmp.outline, BmpImageFile),
        "GIF": Format(gif.is_gif, gif.outline, GifImageFile),
        "TIFF": Format(tiff.is_tiff, tiff.outline, TiffImageFile),
    }
)

__all__ = ["FORMATS", "Format", "Outline", "Weight"]
