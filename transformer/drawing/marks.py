"""Objects: masks, boxes as double lines, and labels on plates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw

from transformer.drawing.content import Entry, Mark
from transformer.drawing.frame import FONT_SIZES, Frame, Rect
from transformer.drawing.labels import Label, Place, place_labels
from transformer.drawing.masks import paint_mark
from transformer.drawing.palette import color_of, ink_on
from transformer.drawing.text import Font, font_of, legible, shorten

CROWD: Final = 20
"""With more marks than this, letters become smaller."""
MAX_LABELS: Final = 200
"""Only so many look for a place: more could not be read."""
MAX_LABEL_SHARE: Final = 0.5
"""The most of the canvas' width that a label takes."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A label where it stands."""

    mark: Mark
    rect: Rect
    box: Rect
    text: str


def paint_marks(canvas: Image.Image, marks: Sequence[Mark], frame: Frame) -> tuple[Entry, ...]:
    """Paint marks, the best on top, and return what is to be said of those without a label."""
    ranked = sorted(marks, key=lambda mark: -1.0 if mark.score is None else -mark.score)
    font = font_of(_font_size(frame, len(ranked)))
    line = line_width(font)
    boxes = _paint_masks(canvas, ranked, frame, line)
    pen = ImageDraw.Draw(canvas)
    for mark, box in zip(reversed(ranked), reversed(boxes), strict=True):
        if mark.mask is None:
            _paint_box(pen, mark, box, frame, line)
    plates = place_plates(ranked, boxes, frame, font)
    for plate in plates:
        _paint_leader(pen, plate, line)
    for plate in plates:
        _paint_plate(pen, plate, font)
    return _unlabelled(ranked, len(plates))


def place_plates(ranked: Sequence[Mark], boxes: Sequence[Rect], frame: Frame, font: Font) -> list[Plate]:
    """Return the labels that have a place."""
    texts = [_texts(mark, font, frame.width * MAX_LABEL_SHARE) for mark in ranked[:MAX_LABELS]]
    labels = [
        Label(box, tuple(_plate_size(text, font) for text in choice)) for box, choice in zip(boxes, texts, strict=False)
    ]
    places: list[Place | None] = place_labels(labels, frame.width, frame.height)
    return [
        Plate(mark, place.rect, box, choice[place.text])
        for mark, box, choice, place in zip(ranked, boxes, texts, places, strict=False)
        if place is not None
    ]


def line_width(font: Font) -> int:
    """Return how many pixels lines are wide beside letters of a font."""
    return max(2, round(font.size / 7))


def _font_size(frame: Frame, marks: int) -> int:
    size: float = frame.font_size
    if marks > CROWD:
        size *= (CROWD / marks) ** 0.25
    return max(FONT_SIZES[0] - 1, round(size))


def _paint_masks(canvas: Image.Image, ranked: Sequence[Mark], frame: Frame, line: int) -> list[Rect]:
    """Paint the masks, the best on top, and return the boxes of all marks."""
    boxes: list[Rect] = []
    for mark in reversed(ranked):
        bounds = None if mark.mask is None else paint_mark(canvas, mark, mark.mask, frame, line)
        rect = (bounds or frame.inner) if mark.box is None else frame.place(mark.box)
        boxes.append(rect)
    return boxes[::-1]


def _paint_box(pen: ImageDraw.ImageDraw, mark: Mark, box: Rect, frame: Frame, line: int) -> None:
    """Paint a line in the mark's color just inside its box, between two in the ink that is opposite to it."""
    left, top, right, bottom = box
    color = color_of(mark.class_id)
    edge = 1 if min(frame.inner_size) > 2 * line else 0
    low_x, low_y, high_x, high_y = frame.inner
    left, top = max(left, low_x + edge), max(top, low_y + edge)
    right, bottom = min(right, high_x - edge) - 1, min(bottom, high_y - edge) - 1
    right, bottom = max(left, right), max(top, bottom)
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=ink_on(color), width=line + 2)
    pen.rectangle((left, top, right, bottom), outline=color, width=line)


def _paint_leader(pen: ImageDraw.ImageDraw, plate: Plate, line: int) -> None:
    """Join a label that stands away from its box to it."""
    (left, top, right, bottom), box = plate.rect, plate.box
    start_x, end_x = _nearest((left, right), (box[0], box[2]))
    start_y, end_y = _nearest((top, bottom), (box[1], box[3]))
    if max(abs(start_x - end_x), abs(start_y - end_y)) <= line:
        return
    color = color_of(plate.mark.class_id)
    ends = (start_x, start_y, end_x, end_y)
    pen.line(ends, fill=ink_on(color), width=line + 2)
    pen.line(ends, fill=color, width=line)


def _nearest(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Return a place within `one` and one within `other` that are near each other."""
    if one[1] <= other[0]:
        return one[1] - 1, other[0]
    if other[1] <= one[0]:
        return one[0], other[1] - 1
    middle = (max(one[0], other[0]) + min(one[1], other[1])) // 2
    return middle, middle


def _paint_plate(pen: ImageDraw.ImageDraw, plate: Plate, font: Font) -> None:
    left, top, right, bottom = plate.rect
    color = color_of(plate.mark.class_id)
    pen.rectangle((left, top, right - 1, bottom - 1), fill=color)
    pen.text((left + _padding(font), bottom - _depth(font)), plate.text, font=font, fill=ink_on(color), anchor="ls")


def _texts(mark: Mark, font: Font, width: float) -> list[str]:
    """Return what a label may say, the most first."""
    name = legible(mark.label, f"class {mark.class_id}")
    if mark.score is None:
        return [shorten(name, font, width)]
    score = f" {mark.score:.2f}"
    return [shorten(name, font, width - font.getlength(score)) + score, shorten(name, font, width)]


def _plate_size(text: str, font: Font) -> tuple[int, int]:
    ascent, _ = font.getmetrics()
    return round(font.getlength(text)) + 2 * _padding(font), ascent + _depth(font)


def _padding(font: Font) -> int:
    return max(2, round(font.size / 5))


def _depth(font: Font) -> int:
    """Return the pixels below the line on which the letters stand."""
    return font.getmetrics()[1]


def _unlabelled(ranked: Sequence[Mark], labelled: int) -> tuple[Entry, ...]:
    """Return a legend for a crowd in which not every label found its place."""
    missing = len(ranked) - labelled
    if not missing:
        return ()
    counts = Counter((mark.class_id, mark.label) for mark in ranked)
    legend = [Entry(label, str(count), class_id=class_id) for (class_id, label), count in counts.most_common()]
    return (*legend, Entry(f"{missing} of {len(ranked)} labels have no room"))
