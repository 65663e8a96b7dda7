"""Answers on their pictures, for people: boxes and labels, masks, and a panel with a legend or a list.

::

    bytes ─ pictures ─▶ canvas ─ masks ─ boxes ─ labels ─ panel ─▶ JPEG, PNG or WebP
                                     Drawing, which a task makes

It knows no task: a `Drawing` says what is to be seen, in pixels of the original picture.
"""

from transformer.drawing.content import Box, ClassMap, Drawing, Entry, Mark, SoftMask
from transformer.drawing.draw import draw, render
from transformer.drawing.formats import DEFAULT_FORMAT, PictureFormat, encode

__all__ = [
    "DEFAULT_FORMAT",
    "Box",
    "ClassMap",
    "Drawing",
    "Entry",
    "Mark",
    "PictureFormat",
    "SoftMask",
    "draw",
    "encode",
    "render",
]
