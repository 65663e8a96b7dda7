"""The picture's whole path, from bytes to the pixels that go to the predictor."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.contract.input import DecodeMode, InputRules
from transformer.pictures.decode import decode
from transformer.pictures.geometry import Geometry
from transformer.pictures.header import read_header
from transformer.pictures.limits import Limits
from transformer.pictures.placement import Placement, place
from transformer.pictures.resize import resize

SCALED_HEADROOM: Final = 1.6
"""How many times larger than the model needs a scaled JPEG stays, so that the last step down is the contract's filter.

Measured with `python -m bench.decode`: at 1 two labels of 32 change and probabilities move by up to 0.06; at 1.6 none
changes and they move by 0.03; at 2 by 0.02, but then a 1280 x 853 picture is decoded whole.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture that is ready for the predictor."""

    pixels: NDArray[np.uint8] = field(repr=False)
    """[height, width, 3] of the model's input, RGB, C-contiguous and read-only."""
    geometry: Geometry
    decode_s: float = 0.0
    """Seconds from encoded bytes to the pixels of the picture's own size; the rest was resizing."""


def prepare(encoded: bytes | bytearray | memoryview, rules: InputRules, limits: Limits) -> Prepared:
    """Check, decode, turn and resize one picture. Holds no state, and may run in any number of threads.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageCorrupt: see `read_header` and `decode`.
    """
    began = time.perf_counter()
    header = read_header(encoded, limits)
    scaled = rules.decode is DecodeMode.SCALED
    cover = _with_headroom(place(rules, header.width, header.height)) if scaled else None
    decoded = decode(header, cover=cover)
    decode_s = time.perf_counter() - began
    pixels, geometry = resize(decoded, rules)
    return Prepared(pixels, geometry, decode_s)


def _with_headroom(placement: Placement) -> tuple[int, int]:
    return ceil(placement.width * SCALED_HEADROOM), ceil(placement.height * SCALED_HEADROOM)
