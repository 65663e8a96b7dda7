"""That the memory of a decoded picture is free again as soon as it is freed."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

from PIL import Image

LARGE: Final = 16 * 2**20
"""The bytes of a picture of four megapixels: for less, to ask the system for memory each time takes longer than to
decode a WebP."""
_BLOCK: Final = 2**30
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def return_large_pictures() -> None:
    """Have the memory of large pictures go back to the system when they are freed, from now on and in all threads.

    Pillow makes a picture of blocks of 16 MiB, unless it is told otherwise, and GNU's C library keeps blocks of up to
    32 MiB, once one of that size was freed, in a heap of each thread. So every thread would go on holding the memory of
    the largest picture that it has decoded. A large one in one block is given back, and of the smaller ones each thread
    keeps up to 32 MiB. Another C library keeps nothing, or cannot be told.
    """
    Image.core.set_block_size(_BLOCK)  # type: ignore[attr-defined]  # documented, and not declared
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, 2 * LARGE)
