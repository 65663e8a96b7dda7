"""What is drawn on a picture, said without a pixel of it: tasks make this, and `draw` paints it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels of the original picture as a person sees it."""


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One object: a box, a mask, or both, with a label."""

    label: str
    class_id: int
    """Chooses the color: the same class has the same one in every picture."""
    score: float | None = None
    """Labels of better ones are placed first, and their boxes lie on top."""
    box: Box | None = None
    """The mask's bounds where it is None."""
    mask: NDArray[np.bool_] | None = field(default=None, repr=False)
    """[h, w], at any resolution."""
    mask_box: Box | None = None
    """What the mask covers: the whole picture where it is None."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassMap:
    """The class of every pixel."""

    classes: NDArray[np.uint8] = field(repr=False)
    """[h, w], over the whole picture, at any resolution."""
    hidden: frozenset[int] = frozenset()
    """Classes that are not painted, such as the background."""


@dataclass(frozen=True, slots=True, eq=False)
class SoftMask:
    """How much every pixel belongs to one class, such as the foreground."""

    shares: NDArray[np.uint8] = field(repr=False)
    """[h, w], 0 to 255, over the whole picture, at any resolution."""
    class_id: int = 0
    edge: int = 128
    """From which share on a pixel belongs to it: there is its outline."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the panel below the picture: of a legend, or of a classifier's list."""

    text: str
    value: str = ""
    """A number as people read it, such as `0.95` or `78 %`."""
    share: float | None = None
    """0 to 1, shown as a bar."""
    class_id: int | None = None
    """The class whose color is shown beside the text; none by default."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that is drawn on one picture. The later is painted over the earlier."""

    class_map: ClassMap | None = None
    soft_masks: tuple[SoftMask, ...] = ()
    marks: tuple[Mark, ...] = ()
    entries: tuple[Entry, ...] = ()
