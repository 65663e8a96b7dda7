"""Memory that was freed, and that the C library keeps for itself."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def give_back() -> None:
    """Return freed memory to the system: loading a model frees several times its weights, which nobody asks for again.

    Another C library than GNU's does so by itself, or not at all.
    """
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
