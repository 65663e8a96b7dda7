"""Flame graphs as SVG: each box is a function, as wide as the share of samples that it was in, on top of its caller.

They say themselves how they are read: whose code a color is, and how was sampled what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 1200
ROW: Final = 17
HEAD: Final = 100
"""Pixels above the boxes, for the title and the legend."""
CHARACTER: Final = 6.6
"""Pixels of one letter of the labels."""
THINNEST: Final = 0.6
"""Pixels below which a box is left out."""

READ_AS: Final = (
    "A box is a function, on top of the one that called it, and as wide as the share of samples that it was in; what "
    "it does in C is in its own width. Left and right mean nothing."
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose code a function is."""

    name: str
    color: str
    folders: tuple[str, ...]
    """Those that its files are named from."""


OWNERS: Final = (
    Owner("ours", "#8fb7e3", ("transformer/", "predictor/", "serving/")),
    Owner("the KServe SDK", "#e79fc0", ("kserve/",)),
    Owner("NumPy", "#9fd6b4", ("numpy/",)),
    Owner("Pillow", "#c9b6ea", ("PIL/",)),
    Owner("ONNX Runtime", "#f0a77f", ("onnxruntime/",)),
)
OTHERS: Final = Owner("Python and other libraries", "#e9e2cf", ())


@dataclass
class Box:
    """A function in its place: how often it was seen there, and whom it called."""

    count: int = 0
    calls: dict[str, Box] = field(default_factory=dict)

    def depth(self, least: float) -> int:
        """Return the rows that it takes with those above it that were seen `least` times or more."""
        return 1 + max((box.depth(least) for box in self.calls.values() if box.count >= least), default=0)


def owner_of(frame: str) -> Owner:
    """Return whose code a frame, `function (file)`, is."""
    file = frame.rpartition(" (")[2]
    return next((owner for owner in OWNERS if file.startswith(owner.folders)), OTHERS)


def draw_flame_graph(stacks: Counter[tuple[str, ...]], title: str, sampled: str) -> str:
    """Return the SVG of some stacks, outermost frame first, and how often each was seen; `sampled` says how it was."""
    root = Box()
    for stack, count in stacks.items():
        box = root
        box.count += count
        for frame in stack:
            box = box.calls.setdefault(frame, Box())
            box.count += count
    scale = WIDTH / max(1, root.count)
    rows = root.depth(THINNEST / scale) - 1
    height = HEAD + rows * ROW + 10
    drawing = _Drawing(scale, root.count)
    drawing.place(root, 0.0, rows)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="8" y="21" font-size="15">{escape(title)}: {root.count} samples</text>\n'
        f'<text x="8" y="41">{escape(READ_AS)}</text>\n<text x="8" y="57">{escape(sampled)}</text>\n'
    )
    return head + "\n".join([*_legend(stacks), *drawing.boxes]) + "\n</svg>\n"


def _legend(stacks: Counter[tuple[str, ...]]) -> Iterator[str]:
    """Yield a row with the color of each owner, and the share of samples in which a function of its was on top."""
    on_top: Counter[str] = Counter()
    for stack, count in stacks.items():
        on_top[owner_of(stack[-1]).name] += count
    left = 8.0
    for owner in (*OWNERS, OTHERS):
        text = f"{owner.name}: {on_top[owner.name] / max(1, on_top.total()):.1%} on top"
        yield f'<rect x="{left:.0f}" y="70" width="14" height="14" rx="1" fill="{owner.color}"/>'
        yield f'<text x="{left + 19:.0f}" y="81">{text}</text>'
        left += 19 + CHARACTER * len(text)


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
                    f'fill="{owner_of(name).color}"/><text x="{left + 3:.1f}" y="{top + 12}">{label}</text></g>'
                )
                self.place(called, left, row - 1)
            left += width
