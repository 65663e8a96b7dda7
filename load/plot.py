"""A plot of lines, drawn with Pillow: throughput against latency, for people who decide by it.

It is drawn at twice its size and made smaller, which smooths the lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Point = tuple[float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WIDTH: Final = 960
HEIGHT: Final = 600
"""Pixels of the picture."""
SCALE: Final = 2
LEFT, RIGHT, TOP, BOTTOM = 78, 28, 64, 96
"""Pixels beside the field that the lines are drawn in."""
TEXT: Final = 14
TITLE: Final = 19
ROOM: Final = 90
"""Pixels that a label beside a point takes."""
DOT: Final = 4.5
TICKS: Final = 7
"""About how many an axis has."""
WIDE: Final = 12.0
"""From which quotient of the largest to the smallest value an axis is logarithmic."""

WHITE: Final[Color] = (255, 255, 255)
INK: Final[Color] = (40, 44, 52)
PALE: Final[Color] = (228, 231, 235)
GRAY: Final[Color] = (112, 118, 128)
COLORS: Final[tuple[Color, ...]] = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233),
)  # fmt: skip
"""Those of Okabe and Ito, "Color Universal Design" (2008), made for color-blind people."""


@dataclass(frozen=True, slots=True)
class Line:
    """Points that belong together, in order; `labels` stand beside them, one for each point or none at all.

    A line without a name is not in the legend.
    """

    name: str
    points: tuple[Point, ...]
    labels: tuple[str, ...] = ()
    is_dashed: bool = False
    shares_color: bool = False
    """Whether it is drawn in the color of the line before it."""


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn. Both axes begin at 0, but that of `y` is logarithmic where its values are far apart."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    bound: tuple[str, float] | None = None
    """A level of `y` to be seen across the field, and what it is."""


def save(plot: Plot, path: Path) -> None:
    """Write a plot as PNG.

    Raises:
        OSError: the file cannot be written.
    """
    draw(plot).save(path, "PNG")


def draw(plot: Plot) -> Image.Image:
    """Return a plot as a picture of `WIDTH` by `HEIGHT` pixels.

    Raises:
        ValueError: it has no points.
    """
    if not any(line.points for line in plot.lines):
        raise ValueError("there are no points to draw")
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), WHITE)
    _Field(plot, ImageDraw.Draw(image)).draw()
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True)
class Axis:
    """Where values stand along an axis, from 0 to 1, and which are named."""

    place: Callable[[float], float]
    ticks: tuple[float, ...]
    is_logarithmic: bool = False


def axis_of(values: Sequence[float], *, may_be_logarithmic: bool) -> Axis:
    """Return an axis on which all values have their place."""
    largest = max(values)
    smallest = min((value for value in values if value > 0), default=0.0)
    if may_be_logarithmic and smallest and largest / smallest > WIDE:
        return _logarithmic(smallest, largest)
    return _linear(largest)


def _linear(largest: float) -> Axis:
    step = _round_step(max(largest, 1e-9) / TICKS)
    count = math.ceil(largest / step * 1.02) or 1
    return Axis(lambda value: value / (count * step), tuple(number * step for number in range(count + 1)))


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return power * next(digit for digit in (1, 2, 2.5, 5, 10) if digit * power >= least * 0.999)


def _logarithmic(smallest: float, largest: float) -> Axis:
    powers = range(math.floor(math.log10(smallest)), math.ceil(math.log10(largest)) + 1)
    steps = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    below = max(step for step in steps if step <= smallest)
    above = min(step for step in steps if step >= largest)
    low, span = math.log10(below), math.log10(above) - math.log10(below)
    return Axis(
        lambda value: (math.log10(max(value, below)) - low) / span,
        tuple(step for step in steps if below <= step <= above),
        is_logarithmic=True,
    )


class _Field:
    """The field of a plot, on a canvas that is `SCALE` times as large."""

    def __init__(self, plot: Plot, canvas: ImageDraw.ImageDraw) -> None:
        self._plot = plot
        self._canvas = canvas
        self._font = ImageFont.load_default(TEXT * SCALE)
        points = [point for line in plot.lines for point in line.points]
        levels = [y for _, y in points] + ([plot.bound[1]] if plot.bound else [])
        self._x = axis_of([x for x, _ in points], may_be_logarithmic=False)
        self._y = axis_of(levels, may_be_logarithmic=True)

    def draw(self) -> None:
        self._axes()
        if self._plot.bound is not None:
            self._bound(*self._plot.bound)
        for line, color in _colored(self._plot.lines):
            self._line(line, color)
        self._legend()
        title = ImageFont.load_default(TITLE * SCALE)
        self._text((LEFT, 18), self._plot.title, INK, "lt", title)

    def _axes(self) -> None:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for tick in self._y.ticks:
            y = self._at_y(tick)
            self._rule((LEFT, y), (right, y), PALE)
            self._text((LEFT - 10, y), number(tick), GRAY, "rm")
        for tick in self._x.ticks:
            x = self._at_x(tick)
            self._rule((x, bottom), (x, bottom + 5), GRAY)
            self._text((x, bottom + 10), number(tick), GRAY, "mt")
        self._rule((LEFT, bottom), (right, bottom), GRAY)
        note = " (logarithmic)" if self._y.is_logarithmic else ""
        self._text((LEFT, TOP - 12), self._plot.y_label + note, GRAY, "ls")
        self._text((right, bottom + 32), self._plot.x_label, GRAY, "rt")

    def _bound(self, name: str, level: float) -> None:
        y = self._at_y(level)
        self._dashes([(LEFT, y), (WIDTH - RIGHT, y)], GRAY, 1.5)
        above = y > TOP + TEXT  # where the axis' name does not stand already
        self._text((LEFT + 6, y - 5 if above else y + 5), name, GRAY, "ls" if above else "lt")

    def _line(self, line: Line, color: Color) -> None:
        places = [(self._at_x(x), self._at_y(y)) for x, y in line.points]
        if line.is_dashed:
            self._dashes(places, color, 2.5)
        else:
            self._canvas.line([_scaled(place) for place in places], color, round(2.5 * SCALE), joint="curve")
        for x, y in places:
            corners = [_scaled((x - DOT, y - DOT)), _scaled((x + DOT, y + DOT))]
            self._canvas.ellipse(corners, fill=color, outline=WHITE, width=SCALE)
        for (x, y), label in zip(places, line.labels, strict=False):
            # Latencies rise to the right, so that above and to the left of a point is room.
            right = x < LEFT + ROOM
            self._text((x + 8 if right else x - 8, y - 8), label, INK, "ls" if right else "rs")

    def _legend(self) -> None:
        """Name the lines below the field, in a second row those that find no place in the first."""
        named = [(line, color) for line, color in _colored(self._plot.lines) if line.name]
        widths = [34 + self._font.getlength(line.name) / SCALE + 28 for line, _ in named]
        wraps = LEFT + sum(widths) > WIDTH
        x, y = float(LEFT), HEIGHT - (36.0 if wraps else 26.0)
        for (line, color), width in zip(named, widths, strict=True):
            if x > LEFT and x + width > WIDTH:
                x, y = float(LEFT), y + 22
            if line.is_dashed:
                self._dashes([(x, y), (x + 26, y)], color, 2.5)
            else:
                self._rule((x, y), (x + 26, y), color, 2.5)
            self._text((x + 34, y), line.name, INK, "lm")
            x += width

    def _dashes(self, places: Sequence[Point], color: Color, width: float) -> None:
        for (x1, y1), (x2, y2) in pairwise(places):
            count = max(int(math.hypot(x2 - x1, y2 - y1) / 6), 1)
            for number in range(0, count, 2):
                start, end = number / count, min((number + 1) / count, 1.0)
                self._rule(
                    (x1 + (x2 - x1) * start, y1 + (y2 - y1) * start), (x1 + (x2 - x1) * end, y1 + (y2 - y1) * end),
                    color, width,
                )  # fmt: skip

    def _rule(self, start: Point, end: Point, color: Color, width: float = 1) -> None:
        self._canvas.line([_scaled(start), _scaled(end)], color, round(width * SCALE))

    def _text(self, place: Point, text: str, color: Color, anchor: str, font: Font | None = None) -> None:
        halo = 2 * SCALE
        self._canvas.text(_scaled(place), text, color, font or self._font, anchor, stroke_width=halo, stroke_fill=WHITE)

    def _at_x(self, value: float) -> float:
        return LEFT + (WIDTH - RIGHT - LEFT) * self._x.place(value)

    def _at_y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * self._y.place(value)


def number(value: float) -> str:
    """Return a tick's value as people write it."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.6g}"  # noqa: PLR2004  # from there on digits are grouped


def _scaled(place: Point) -> Point:
    return place[0] * SCALE, place[1] * SCALE


def _colored(lines: Sequence[Line]) -> Iterator[tuple[Line, Color]]:
    colors = cycle(COLORS)
    color = INK
    for line in lines:
        color = color if line.shares_color else next(colors)
        yield line, color
