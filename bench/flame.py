"""Flame graphs as SVG: each box is a function, as wide as the share of samples that it was in, on top of its caller."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 1200
ROW: Final = 17
HEAD: Final = 34
CHARACTER: Final = 6.6
"""Pixels of one letter of the labels."""
THINNEST: Final = 0.6
"""Pixels below which a box is left out."""

OURS: Final = ("(transformer/", "(predictor/", "(serving/")
COLOR_OF_OURS: Final = "#8fb7e3"
COLOR_OF_OTHERS: Final = "#f2c894"


@dataclass
class Box:
    """A function in its place: how often it was seen there, and whom it called."""

    count: int = 0
    calls: dict[str, Box] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """The number of rows that it and those above it take."""
        return 1 + max((box.depth for box in self.calls.values()), default=0)


def draw_flame_graph(stacks: Counter[tuple[str, ...]], title: str) -> str:
    """Return the SVG of some stacks, outermost frame first, and how often each was seen."""
    root = Box()
    for stack, count in stacks.items():
        box = root
        box.count += count
        for frame in stack:
            box = box.calls.setdefault(frame, Box())
            box.count += count
    rows = root.depth - 1
    height = HEAD + rows * ROW + 10
    drawing = _Drawing(WIDTH / max(1, root.count), root.count)
    drawing.place(root, 0.0, rows)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="8" y="21" font-size="15">{escape(title)}: {root.count} samples</text>\n'
    )
    return head + "\n".join(drawing.boxes) + "\n</svg>\n"


@dataclass
class _Drawing:
    """The boxes that were drawn; `scale` is pixels a sample."""

    scale: float
    whole: int
    boxes: list[str] = field(default_factory=list)

    def place(self, box: Box, left: float, row: int) -> None:
        """Draw those that a box calls, above it from `left` on, and all above them."""
        for name, called in sorted(box.calls.items()):
            width = called.count * self.scale
            if width >= THINNEST:
                top = HEAD + (row - 1) * ROW
                label = escape(name[: max(0, int(width / CHARACTER) - 1)])
                self.boxes.append(
                    f"<g><title>{escape(name)}: {called.count / self.whole:.1%}</title>"
                    f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 1}" rx="1" '
                    f'fill="{_color(name)}"/><text x="{left + 3:.1f}" y="{top + 12}">{label}</text></g>'
                )
                self.place(called, left, row - 1)
            left += width


def _color(name: str) -> str:
    return COLOR_OF_OURS if any(place in name for place in OURS) else COLOR_OF_OTHERS
