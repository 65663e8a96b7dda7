"""The picture's whole path, from bytes to the pixels that go to the predictor."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from serving.contract.schema import DecodeMode, InputRules
from transformer.pictures.decode import decode
from transformer.pictures.geometry import Geometry
from transformer.pictures.header import read_header
from transformer.pictures.limits import Limits
from transformer.pictures.placement import place
from transformer.pictures.resize import resize


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture that is ready for the predictor."""

    pixels: NDArray[np.uint8] = field(repr=False)
    """[height, width, 3] of the model's input, RGB, C-contiguous and read-only."""
    geometry: Geometry


def prepare(encoded: bytes | bytearray | memoryview, rules: InputRules, limits: Limits) -> Prepared:
    """Check, decode, turn and resize one picture. Holds no state, and may run in any number of threads.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageCorrupt: see `read_header` and `decode`.
    """
    header = read_header(encoded, limits)
    scaled = rules.decode is DecodeMode.SCALED
    cover = place(rules, header.width, header.height).size if scaled else None
    pixels, geometry = resize(decode(header, cover=cover), rules)
    return Prepared(pixels, geometry)
