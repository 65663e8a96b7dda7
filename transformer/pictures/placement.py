"""Where the whole picture, scaled, lies in the model's input, and how large that is."""

from __future__ import annotations

from dataclasses import dataclass

from serving.contract.input import (
    CropResize,
    InputRules,
    LetterboxResize,
    ShortestEdgeResize,
    StretchResize,
    next_multiple,
)


@dataclass(frozen=True, slots=True)
class Placement:
    """The size that the whole picture is scaled to, and where its top left then lies, in pixels of the model's input.

    `left` and `top` are negative where a crop cuts, and positive where a letterbox fills.
    """

    width: int
    height: int
    left: int
    top: int
    input_width: int
    """Of the model's input, which follows the picture by some rules."""
    input_height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height: what a decoded picture must cover to lose nothing."""
        return self.width, self.height

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the model's input."""
        return self.input_width, self.input_height

    @property
    def window(self) -> tuple[int, int, int, int]:
        """What is seen of the scaled picture, in its own pixels: left, top, right, bottom."""
        left, top = max(0, -self.left), max(0, -self.top)
        right = min(self.width, self.input_width - self.left)
        return left, top, right, min(self.height, self.input_height - self.top)


def place(rules: InputRules, width: int, height: int) -> Placement:
    """Return where a picture of `width` x `height` lies by `rules.resize`. No side becomes 0, and none passes the
    largest that the rule allows.
    """
    match rules.resize:
        case CropResize() as resize:
            return _crop(resize, rules.largest_size, width, height)
        case LetterboxResize() as resize:
            return _letterbox(resize, rules.largest_size, width, height)
        case ShortestEdgeResize() as resize:
            return _shortest_edge(resize, width, height)
        case StretchResize():
            height, width = rules.largest_size
            return Placement(width, height, 0, 0, width, height)


def _crop(resize: CropResize, box: tuple[int, int], width: int, height: int) -> Placement:
    """Scale as torchvision's `Resize` and cut as its `CenterCrop`, which timm uses too.

    Source: torchvision/transforms/functional.py, `_compute_resized_output_size` and `center_crop`.
    """
    shorter_side = resize.shorter_side
    if width <= height:
        scaled = shorter_side, int(shorter_side * height / width)
    else:
        scaled = int(shorter_side * width / height), shorter_side
    box_height, box_width = box
    left = round((scaled[0] - box_width) / 2.0)
    top = round((scaled[1] - box_height) / 2.0)
    return Placement(*scaled, -left, -top, box_width, box_height)


def _letterbox(resize: LetterboxResize, box: tuple[int, int], width: int, height: int) -> Placement:
    """Scale and pad as Ultralytics' `LetterBox` (ultralytics/data/augment.py), whose halves round towards top left."""
    box_height, box_width = box
    ratio = min(box_width / width, box_height / height)
    scaled = max(1, round(width * ratio)), max(1, round(height * ratio))
    if resize.multiple is not None:
        box_width, box_height = (next_multiple(side, resize.multiple) for side in scaled)
    if resize.align == "top_left":
        return Placement(*scaled, 0, 0, box_width, box_height)
    left = round((box_width - scaled[0]) / 2 - 0.1)
    top = round((box_height - scaled[1]) / 2 - 0.1)
    return Placement(*scaled, left, top, box_width, box_height)


def _shortest_edge(resize: ShortestEdgeResize, width: int, height: int) -> Placement:
    """Scale as Hugging Face's DETR, and bring both sides to a multiple, by rounding or by padding.

    Source: transformers/models/detr/image_processing_detr.py, `get_size_with_aspect_ratio`; a side of 0 becomes 1.
    """
    shorter, longer = min(width, height), max(width, height)
    side = float(resize.shorter_side)
    scaled = resize.shorter_side
    if longer / shorter * side > resize.longer_side:
        side = resize.longer_side * shorter / longer
        scaled = max(1, round(side))
    other = max(1, int(side * longer / shorter))
    inner = (scaled, other) if width <= height else (other, scaled)
    if resize.pad is not None:
        return Placement(*inner, 0, 0, *(next_multiple(side, resize.multiple) for side in inner))
    inner_width, inner_height = (max(1, round(side / resize.multiple)) * resize.multiple for side in inner)
    return Placement(inner_width, inner_height, 0, 0, inner_width, inner_height)
