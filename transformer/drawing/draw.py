"""The whole way: from an encoded picture and what was found on it to a drawn one."""

from __future__ import annotations

from PIL import Image

from serving.queue import Hold, freely
from transformer.drawing.content import Drawing
from transformer.drawing.formats import DEFAULT_FORMAT, PictureFormat, encode
from transformer.drawing.frame import Frame
from transformer.drawing.marks import line_width, paint_marks
from transformer.drawing.masks import paint_class_map, paint_soft_mask
from transformer.drawing.panel import append_panel
from transformer.drawing.text import font_of
from transformer.pictures import Header, Limits, check_memory, decode, decoding_bytes, read_header

Encoded = bytes | bytearray | memoryview


def render(
    encoded: Encoded,
    limits: Limits,
    drawing: Drawing,
    picture_format: PictureFormat = DEFAULT_FORMAT,
    hold: Hold = freely,
) -> bytes:
    """Return a picture with `drawing` on it as a file's bytes. Holds no state, and may run in any number of threads.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageCorrupt: see `read_header`, `check_memory` and `decode`.
    """
    return encode(draw(encoded, limits, drawing, hold), picture_format)


def draw(encoded: Encoded, limits: Limits, drawing: Drawing, hold: Hold = freely) -> Image.Image:
    """Return a picture, upright and RGB, with `drawing` on it.

    Large pictures are reduced and small ones enlarged; where there are entries, a panel is added below. While it works,
    it holds the memory that this takes.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageCorrupt: see `read_header`, `check_memory` and `decode`.
    """
    header = read_header(encoded, limits)
    frame = Frame.of(header.width, header.height)
    needed = max(decoding_bytes(header, frame.inner_size), frame.drawing_bytes(header))
    check_memory(header, needed, limits)
    with hold(needed):
        return _drawn(header, frame, drawing)


def _drawn(header: Header, frame: Frame, drawing: Drawing) -> Image.Image:
    canvas = frame.canvas(decode(header, cover=frame.inner_size))
    line = line_width(font_of(frame.font_size))
    if drawing.class_map is not None:
        paint_class_map(canvas, drawing.class_map, frame, line)
    for soft_mask in drawing.soft_masks:
        paint_soft_mask(canvas, soft_mask, frame, line)
    unlabelled = paint_marks(canvas, drawing.marks, frame)
    return append_panel(canvas, (*drawing.entries, *unlabelled), frame.font_size)
