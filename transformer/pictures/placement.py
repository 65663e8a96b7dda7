"""Where the whole picture, scaled, lies in the model's input."""

from __future__ import annotations

from dataclasses import dataclass

from serving.contract.schema import CropResize, InputRules, LetterboxResize, StretchResize


@dataclass(frozen=True, slots=True)
class Placement:
    """The size that the whole picture is scaled to, and where its top left then lies, in pixels of the model's input.

    `left` and `top` are negative where a crop cuts, and positive where a letterbox fills.
    """

    width: int
    height: int
    left: int
    top: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height: what a decoded picture must cover to lose nothing."""
        return self.width, self.height


def place(rules: InputRules, width: int, height: int) -> Placement:
    """Return where a picture of `width` x `height` lies by `rules.resize`. No side becomes 0."""
    match rules.resize:
        case CropResize(shorter_side=shorter_side):
            return _crop(rules, shorter_side, width, height)
        case LetterboxResize(align=align):
            return _letterbox(rules, width, height, centered=align == "center")
        case StretchResize():
            return Placement(rules.width, rules.height, 0, 0)


def _crop(rules: InputRules, shorter_side: int, width: int, height: int) -> Placement:
    """Scale as torchvision's `Resize` and cut as its `CenterCrop`, which timm uses too.

    Source: torchvision/transforms/functional.py, `_compute_resized_output_size` and `center_crop`.
    """
    if width <= height:
        scaled = shorter_side, int(shorter_side * height / width)
    else:
        scaled = int(shorter_side * width / height), shorter_side
    left = round((scaled[0] - rules.width) / 2.0)
    top = round((scaled[1] - rules.height) / 2.0)
    return Placement(*scaled, -left, -top)


def _letterbox(rules: InputRules, width: int, height: int, *, centered: bool) -> Placement:
    """Scale and pad as Ultralytics' `LetterBox` (ultralytics/data/augment.py), whose halves round towards top left."""
    ratio = min(rules.width / width, rules.height / height)
    scaled = max(1, round(width * ratio)), max(1, round(height * ratio))
    if not centered:
        return Placement(*scaled, 0, 0)
    left = round((rules.width - scaled[0]) / 2 - 0.1)
    top = round((rules.height - scaled[1]) / 2 - 0.1)
    return Placement(*scaled, left, top)
