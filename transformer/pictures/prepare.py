"""The picture's whole path, from bytes to the pixels that go to the predictor."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from serving.contract.input import DecodeMode, InputRules
from serving.queue import Hold, freely
from transformer.pictures.decode import decode, decoded_size, decoding_bytes
from transformer.pictures.geometry import Geometry
from transformer.pictures.header import Header, check_memory, read_header
from transformer.pictures.limits import Limits
from transformer.pictures.placement import Placement, place
from transformer.pictures.resize import resize, resizing_bytes

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
    """Seconds from encoded bytes to the pixels of the picture's own size, without a wait for memory; the rest was
    resizing."""


def prepare(
    encoded: bytes | bytearray | memoryview, rules: InputRules, limits: Limits, hold: Hold = freely
) -> Prepared:
    """Check, decode, turn and resize one picture. Holds no state, and may run in any number of threads.

    From before the first pixel is allocated until the last but the model's are let go, it holds the memory that all of
    them take.

    Raises:
        ImageEmpty, ImageTooLarge, ImageUnsupported, ImageCorrupt: see `read_header`, `check_memory` and `decode`.
    """
    began = time.perf_counter()
    header = read_header(encoded, limits)
    placement = place(rules, header.width, header.height)
    cover = _with_headroom(placement) if rules.decode is DecodeMode.SCALED else None
    resizing = resizing_bytes(decoded_size(header, cover), header.weight.kept, rules, placement)
    needed = max(decoding_bytes(header, cover), resizing)
    check_memory(header, needed, limits)
    header_s = time.perf_counter() - began
    with hold(needed):
        return _prepared(header, cover, rules, header_s)


def _prepared(header: Header, cover: tuple[int, int] | None, rules: InputRules, header_s: float) -> Prepared:
    began = time.perf_counter()
    decoded = decode(header, cover=cover)
    decode_s = header_s + time.perf_counter() - began
    pixels, geometry = resize(decoded, rules)
    return Prepared(pixels, geometry, decode_s)


def _with_headroom(placement: Placement) -> tuple[int, int]:
    return ceil(placement.width * SCALED_HEADROOM), ceil(placement.height * SCALED_HEADROOM)
