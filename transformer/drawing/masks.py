"""Masks: a tint through which the picture is seen, and a double line around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transformer.drawing.content import ClassMap, Mark, SoftMask
from transformer.drawing.frame import Frame, Rect
from transformer.drawing.palette import Color, color_of, ink_on

TINT: Final = 0.38
"""How much of a mask's color lies over the picture."""
HALF: Final = 128
"""Of 255: which pixels a mask has after a resize."""
CLASSES: Final = 256

Mask = NDArray[np.bool_]
Classes = NDArray[np.uint8]


def paint_class_map(canvas: Image.Image, class_map: ClassMap, frame: Frame, line: int) -> None:
    """Paint every class that is not hidden in its color, all in one go."""
    small = Image.fromarray(class_map.classes).resize(frame.inner_size, Image.Resampling.NEAREST)
    classes = np.asarray(small)
    ids = np.arange(CLASSES)
    is_shown = ~np.isin(ids, list(class_map.hidden))
    shown = is_shown[classes]
    colors = _colored(small, [color_of(class_id) for class_id in range(CLASSES)])
    canvas.paste(colors, frame.inner, small.point((is_shown * round(TINT * 255)).tolist()))
    neighbors = _neighbor_classes(classes, shown)
    inks = _colored(Image.fromarray(neighbors), [ink_on(color_of(class_id)) for class_id in range(CLASSES)])
    canvas.paste(inks, frame.inner, Image.fromarray(_spread(shown, 1) & ~shown))
    canvas.paste(colors, frame.inner, Image.fromarray(shown & _spread(_borders(classes), line - 1)))


def paint_soft_mask(canvas: Image.Image, soft: SoftMask, frame: Frame, line: int) -> None:
    """Paint a mask the stronger the larger its share, and a line where its edge is."""
    shares = Image.fromarray(soft.shares).resize(frame.inner_size, Image.Resampling.BILINEAR)
    canvas.paste(color_of(soft.class_id), frame.inner, shares.point([round(share * TINT) for share in range(256)]))
    _outline(canvas, np.asarray(shares) >= soft.edge, color_of(soft.class_id), frame.inner, line)


def paint_mark(canvas: Image.Image, mark: Mark, mask: Mask, frame: Frame, line: int) -> Rect | None:
    """Paint the mask of a mark, and return its bounds; None where it has no pixels."""
    if not mask.size:
        return None
    left, top, right, bottom = frame.inner if mark.mask_box is None else frame.place(mark.mask_box)
    image = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    fitted = np.asarray(image.resize((right - left, bottom - top), Image.Resampling.BILINEAR)) >= HALF
    cut = bounds_of(fitted)
    if cut is None:
        return None
    bounds = left + cut[0], top + cut[1], left + cut[2], top + cut[3]
    around = _grown(bounds, line + 1, frame.inner)
    part = np.zeros((around[3] - around[1], around[2] - around[0]), np.bool_)
    across, down = bounds[0] - around[0], bounds[1] - around[1]
    part[down : down + cut[3] - cut[1], across : across + cut[2] - cut[0]] = fitted[cut[1] : cut[3], cut[0] : cut[2]]
    color = color_of(mark.class_id)
    canvas.paste(color, around, Image.fromarray(part.astype(np.uint8) * np.uint8(round(TINT * 255))))
    _outline(canvas, part, color, around, line)
    return bounds


def bounds_of(mask: Mask) -> Rect | None:
    """Return the smallest rectangle around a mask's pixels; None where it has none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _outline(canvas: Image.Image, mask: Mask, color: Color, place: Rect, line: int) -> None:
    """Paint a line of `line` pixels inside a mask's edge, and one of a pixel in the opposite ink outside of it."""
    outside = _spread(mask, 1) & ~mask
    inside = mask & _spread(~mask, line)
    canvas.paste(ink_on(color), place, Image.fromarray(outside))
    canvas.paste(color, place, Image.fromarray(inside))


def _colored(classes: Image.Image, colors: Sequence[Color]) -> Image.Image:
    """Return a picture, RGB, with the color of each pixel's class."""
    indexed = Image.frombytes("P", classes.size, classes.tobytes())
    indexed.putpalette([value for color in colors for value in color])
    return indexed.convert("RGB")


def _borders(classes: Classes) -> Mask:
    """Return the pixels that have a neighbor of another class."""
    borders = np.zeros(classes.shape, np.bool_)
    down, across = classes[1:] != classes[:-1], classes[:, 1:] != classes[:, :-1]
    borders[1:] |= down
    borders[:-1] |= down
    borders[:, 1:] |= across
    borders[:, :-1] |= across
    return borders


def _neighbor_classes(classes: Classes, shown: Mask) -> Classes:
    """Return, for each pixel, the largest class that is shown among its neighbors."""
    visible = np.where(shown, classes, np.uint8(0))
    neighbors = np.zeros_like(classes)
    for to, of in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
        np.maximum(neighbors[to], visible[of], out=neighbors[to])
        np.maximum(neighbors[:, to], visible[:, of], out=neighbors[:, to])
    return neighbors


def _spread(mask: Mask, pixels: int) -> Mask:
    """Return a mask that is larger by `pixels` on every side."""
    for _ in range(pixels):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        wider[:, 1:] |= mask[:, :-1]
        wider[:, :-1] |= mask[:, 1:]
        mask = wider
    return mask


def _grown(rect: Rect, pixels: int, limits: Rect) -> Rect:
    (left, top, right, bottom), (low_x, low_y, high_x, high_y) = rect, limits
    return (
        max(low_x, left - pixels),
        max(low_y, top - pixels),
        min(high_x, right + pixels),
        min(high_y, bottom + pixels),
    )
