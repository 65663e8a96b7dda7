"""The panel below the picture: a legend, or a classifier's list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw

from transformer.drawing.content import Entry
from transformer.drawing.frame import MARGIN
from transformer.drawing.palette import WHITE, Color, color_of
from transformer.drawing.text import Font, font_of, legible, shorten

MAX_ROWS: Final = 12
BAR: Final[Color] = (138, 180, 248)
TROUGH: Final[Color] = (70, 72, 77)
MUTED: Final[Color] = (189, 193, 198)
BAR_LETTERS: Final = 6
"""A bar is as wide as so many letters are high."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How the panel is divided, in pixels."""

    count: int
    width: int
    text: int
    """The width of the texts."""
    value: int
    """The width of the numbers."""


def append_panel(canvas: Image.Image, entries: Sequence[Entry], font_size: int) -> Image.Image:
    """Return the canvas with a panel of `entries` below it; those without room are counted."""
    if not entries:
        return canvas
    font = font_of(font_size)
    columns = _divide(entries, font, canvas.width)
    shown = list(entries)
    if len(shown) > columns.count * MAX_ROWS:
        kept = columns.count * MAX_ROWS - 1
        shown = [*shown[:kept], Entry(f"and {len(shown) - kept} more")]
    rows = -(-len(shown) // columns.count)
    step, pad = _step(font), _pad(font)
    whole = Image.new("RGB", (canvas.width, canvas.height + rows * step + 2 * pad), MARGIN)
    whole.paste(canvas)
    pen = ImageDraw.Draw(whole)
    for place, entry in enumerate(shown):
        column, row = divmod(place, rows)
        _paint(pen, entry, (pad + column * columns.width, canvas.height + pad + row * step), columns, font)
    return whole


def _divide(entries: Sequence[Entry], font: Font, width: int) -> Columns:
    """Divide the panel into as many columns as its longest text allows."""
    pad, size = _pad(font), round(font.size)
    value = max(round(font.getlength(entry.value)) for entry in entries)
    value += pad if value else 0
    bar = BAR_LETTERS * size + pad if any(entry.share is not None for entry in entries) else 0
    beside = _swatch(entries, font) + bar + value + pad
    longest = max(round(font.getlength(_text(entry))) for entry in entries) + pad
    free = width - 2 * pad
    count = max(1, min(free // (longest + beside), len(entries)))
    text = min(longest, max(free // count - beside, size))
    return Columns(count, text + beside, text, value)


def _paint(pen: ImageDraw.ImageDraw, entry: Entry, corner: tuple[int, int], columns: Columns, font: Font) -> None:
    left, top = corner
    pad, size = _pad(font), round(font.size)
    base = top + font.getmetrics()[0]
    middle = base - size // 3
    if entry.class_id is not None:
        square = (left, middle - size // 3, left + 2 * (size // 3), middle + size // 3)
        pen.rectangle(square, fill=color_of(entry.class_id), outline=WHITE)
        left += size + pad // 2
    pen.text((left, base), shorten(_text(entry), font, columns.text - pad // 2), font=font, fill=WHITE, anchor="ls")
    left += columns.text
    if entry.share is not None:
        width = BAR_LETTERS * size
        share = min(max(entry.share, 0.0), 1.0)
        pen.rectangle((left, middle - size // 4, left + width, middle + size // 4), fill=TROUGH)
        if round(width * share):
            pen.rectangle((left, middle - size // 4, left + round(width * share), middle + size // 4), fill=BAR)
        left += width + pad
    if entry.value:
        pen.text((left + columns.value - pad, base), entry.value, font=font, fill=MUTED, anchor="rs")


def _text(entry: Entry) -> str:
    return legible(entry.text, "?" if entry.class_id is None else f"class {entry.class_id}")


def _swatch(entries: Sequence[Entry], font: Font) -> int:
    return round(font.size) + _pad(font) // 2 if any(entry.class_id is not None for entry in entries) else 0


def _pad(font: Font) -> int:
    return max(4, round(font.size * 0.6))


def _step(font: Font) -> int:
    return sum(font.getmetrics()) + max(2, round(font.size / 5))
