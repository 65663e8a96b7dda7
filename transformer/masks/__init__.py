"""Masks over the original picture, and the forms that they are given in: COCO's run lengths, polygons, PNG.

::

    the decoder's map [h, w] ─ Sampling ─▶ Mask ─ patch ─▶ Patch [height, width] bool ─▶ run lengths, PNG
                                             └─ polygons ─▶ outlines
"""

from transformer.masks.mask import ClassGrid, ClassMask, LevelMask, Mask, MixedMask
from transformer.masks.patch import Box, Patch
from transformer.masks.polygons import Polygon, outlines, rings_json
from transformer.masks.rle import encode_rle
from transformer.masks.sampling import Sampling

__all__ = [
    "Box",
    "ClassGrid",
    "ClassMask",
    "LevelMask",
    "Mask",
    "MixedMask",
    "Patch",
    "Polygon",
    "Sampling",
    "encode_rle",
    "outlines",
    "rings_json",
]
