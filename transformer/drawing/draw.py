"""The whole way: from an encoded picture and what was found on it to a drawn one."""

from __future__ import annotations

from PIL import Image

from transformer.drawing.content import Drawing
from transformer.drawing.formats import DEFAULT_FORMAT, PictureFormat, encode
from transformer.drawing.frame import Frame
from transformer.drawing.marks import line_width, paint_marks
from transformer.drawing.masks import paint_class_map, paint_soft_mask
from transformer.drawing.panel import append_panel
from transformer.drawing.text import font_of
from transformer.pictures import Limits, decode, read_header

Encoded = bytes | bytearray | memoryview


def render(encoded: Encoded, limits: Limits, drawing: Drawing, picture_format: PictureFormat = DEFAULT_FORMAT) -> bytes:
    """Return a picture with `drawing` on it as a file's bytes. Holds no state, and may run in any number of threads.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageCorrupt: see `read_header` and `decode`.
    """
    return encode(draw(encoded, limits, drawing), picture_format)


def draw(encoded: Encoded, limits: Limits, drawing: Drawing) -> Image.Image:
    """Return a picture, upright and RGB, with `drawing` on it.

    Large pictures are reduced and small ones enlarged; where there are entries, a panel is added below.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageCorrupt: see `read_header` and `decode`.
    """
    header = read_header(encoded, limits)
    frame = Frame.of(header.width, header.height)
    canvas = frame.canvas(decode(header, cover=frame.inner_size))
    line = line_width(font_of(frame.font_size))
    if drawing.class_map is not None:
        paint_class_map(canvas, drawing.class_map, frame, line)
    for soft_mask in drawing.soft_masks:
        paint_soft_mask(canvas, soft_mask, frame, line)
    unlabelled = paint_marks(canvas, drawing.marks, frame)
    return append_panel(canvas, (*drawing.entries, *unlabelled), frame.font_size)
