"""How a mask stands in JSON, and in V2's tensors."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from serving.errors import RequestInvalid
from serving.v2 import Tensor
from transformer.masks import LevelMask, Mask, encode_rle, rings_json
from transformer.pictures.png import encode_bits_png, encode_levels_png

MaskForm = Literal["png", "rle", "polygons", "alpha", "none"]

MAX_DRAWN_SIDE: Final = 1600
"""The most pixels of a side of a mask that is drawn."""
MAX_MASK_BYTES: Final = 256 * 2**20
"""The most bytes of the masks in one tensor: 21 masks of 12 megapixels."""
MAX_MASK_PIXELS: Final = 2 * 10**9
"""The most pixels that are looked at for the masks of one picture's JSON, or of one tensor: 20 seconds on one thread,
which cannot be stopped once it has begun."""


def mask_json(mask: Mask, form: MaskForm, width: int, height: int) -> dict[str, Any]:
    """Return `{"width", "height"}` and the mask by the name of its form.

    `png`: base64 of one bit a pixel; `alpha`: base64 of a grey PNG of its levels; `rle`: `{"size": [height, width],
    "counts"}` as pycocotools reads it; `polygons`: lists of rings, the first the outline, the others holes.
    """
    value: Any
    match form:
        case "rle":
            value = {"size": [height, width], "counts": encode_rle(mask.patch()).decode()}
        case "polygons":
            value = rings_json(mask.polygons())
        case "alpha":
            value = base64_text(alpha_png(mask))
        case _:
            value = base64_text(mask_png(mask))
    return {"width": width, "height": height, form: value}


def drawn_pixels(masks: Sequence[Mask], form: MaskForm, width: int, height: int) -> int:
    """Return how many pixels of a picture are looked at for its masks: none for outlines, which are the map's."""
    match form:
        case "none" | "polygons":
            return 0
        case "rle":
            return sum(mask.area for mask in masks)
        case _:
            return len(masks) * width * height


def check_pixels(pixels: int) -> None:
    """Hold pixels that are to be looked at against `MAX_MASK_PIXELS`.

    Raises:
        RequestInvalid: they are too many.
    """
    if pixels > MAX_MASK_PIXELS:
        raise RequestInvalid(
            f"the masks have {pixels} pixels in all; at most {MAX_MASK_PIXELS} are drawn: send fewer or smaller "
            "pictures, ask for fewer masks, or for mask 'rle', which looks only at their boxes, or 'polygons'"
        )


def base64_text(encoded: bytes) -> str:
    """Return bytes as JSON carries them."""
    return base64.b64encode(encoded).decode()


def mask_png(mask: Mask) -> bytes:
    """Return a PNG of one bit a pixel."""
    patch = mask.patch()
    return encode_bits_png(patch.bits(), patch.width)


def alpha_png(mask: Mask) -> bytes:
    """Return the levels of a mask as a grey PNG.

    Raises:
        RequestInvalid: it has none.
    """
    if not isinstance(mask, LevelMask):
        raise RequestInvalid(
            "mask is 'alpha': this model says which pixels are of a class, and not how much; one of png, rle, "
            "polygons, none is expected"
        )
    return encode_levels_png(mask.levels())


def for_drawing(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a mask, [height, width], at a resolution that is enough to draw it; as many may be held at once."""
    step = -(-max(mask.shape) // MAX_DRAWN_SIDE)
    return mask if step == 1 else mask[step // 2 :: step, step // 2 :: step].copy()


def empty_masks(name: str, shape: Sequence[int], fill: int) -> Tensor:
    """Return UINT8 of that shape, with the pictures first, to draw masks into.

    Raises:
        RequestInvalid: it would be too large.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if size > MAX_MASK_BYTES:
        raise RequestInvalid(
            f"output {name!r} would have {size} bytes for {shape[0]} pictures; at most {MAX_MASK_BYTES} are made: send "
            "fewer pictures, or ask by name for outputs such as mask_rle"
        )
    return Tensor(name, np.full(shape, fill, np.uint8))


def bytes_tensor(name: str, rows: Sequence[Sequence[bytes]]) -> Tensor:
    """Return BYTES `[n, k]`; shorter rows are filled up with nothing."""
    array = np.full((len(rows), max(map(len, rows), default=0)), b"", np.object_)
    for row, elements in enumerate(rows):
        array[row, : len(elements)] = elements
    return Tensor(name, array)


def sizes_tensor(sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Return INT64 `[n, 2]`, height and width, of sizes as width and height."""
    return Tensor("sizes", np.array([(height, width) for width, height in sizes], np.int64).reshape(-1, 2))
