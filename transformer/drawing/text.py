"""Letters: the font, and texts that it can show in the width that there is.

The font is the one that Pillow carries (Aileron), so that the drawing is the same on every machine. It knows printable
ASCII and little else.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from typing import Final

from PIL import ImageFont

ELLIPSIS: Final = "…"
NO_GLYPH: Final = "\uffff"

MAX_LETTERS: Final = 1000
"""Of longer texts only the beginning is looked at: it is more than a canvas is wide."""

LETTERS: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
     "ı": "i", "–": "-", "—": "-", "×": "x"}  # noqa: RUF001  # the letters that are meant
)  # fmt: skip
"""Letters that Unicode does not take apart into a plain one and an accent."""

Font = ImageFont.FreeTypeFont


@cache
def font_of(size: int) -> Font:
    """Return the font with letters of `size` pixels."""
    font = ImageFont.load_default(size)
    assert isinstance(font, Font)  # noqa: S101  # Pillow's wheels all have FreeType
    return font


def legible(text: str, instead: str) -> str:
    """Return `text` in letters that the font has: without accents, on one line.

    Return `instead` of a text in another script: rows of empty boxes would say nothing.
    """
    apart = unicodedata.normalize("NFKD", text[:MAX_LETTERS].translate(LETTERS))[:MAX_LETTERS]
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    line = " ".join("".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in plain).split())
    return line if line and all(_is_known(letter) for letter in line) else instead


def shorten(text: str, font: Font, width: float) -> str:
    """Return as much of the beginning of `text` as fits into `width` pixels, with an ellipsis where it is cut."""
    if font.getlength(text) <= width:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        fits, too_long = (middle, too_long) if font.getlength(_cut(text, middle)) <= width else (fits, middle)
    return _cut(text, fits)


def _cut(text: str, length: int) -> str:
    return text[:length].rstrip() + ELLIPSIS


@lru_cache(maxsize=4096)
def _is_known(letter: str) -> bool:
    font = font_of(20)
    return letter == " " or bytes(font.getmask(letter)) != bytes(font.getmask(NO_GLYPH))
