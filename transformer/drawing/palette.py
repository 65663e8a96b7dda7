"""Colors: one for each class, and black or white to go with it."""

from __future__ import annotations

from typing import Final

Color = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

BLACK: Final[Color] = (0, 0, 0)
WHITE: Final[Color] = (255, 255, 255)

PALETTE: Final[tuple[Color, ...]] = (
    (86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0), (0, 114, 178), (204, 121, 167),
    (120, 255, 255), (195, 30, 255), (105, 210, 150), (255, 75, 105), (105, 255, 150), (150, 135, 255), (225, 0, 195),
    (255, 120, 210), (0, 225, 255), (180, 210, 75), (105, 120, 210), (0, 150, 30), (255, 180, 240), (0, 240, 195),
)  # fmt: skip
"""The first seven are those of Okabe and Ito, "Color Universal Design" (2008), made for color-blind people. Each
further one is, among bright and strong colors, the farthest (in OKLab) from those before it, for normal sight as for
protanopia and deuteranopia (Machado et al., 2009)."""


def color_of(class_id: int) -> Color:
    """Return the color of a class, always the same; after the palette's end they come again."""
    return PALETTE[class_id % len(PALETTE)]


def ink_on(color: Color) -> Color:
    """Return black or white, whichever is read better on `color`: at least 4.58 to 1, whatever it is."""
    return max(BLACK, WHITE, key=lambda ink: contrast(ink, color))


def contrast(one: Color, other: Color) -> float:
    """Return the contrast of two colors, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def luminance(color: Color) -> float:
    """Return how bright a color is, 0 to 1 (WCAG 2.2, "relative luminance")."""
    red, green, blue = (_linear(value / 255) for value in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004  # sRGB's curve
