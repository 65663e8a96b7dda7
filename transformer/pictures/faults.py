"""What Pillow raises for a damaged picture."""

from __future__ import annotations

import struct
import zlib

from serving.errors import ImageCorrupt

PILLOW_FAULTS = (
    OSError,  # cut off, or refused by the C decoder; UnidentifiedImageError too
    SyntaxError,  # a header that its plugin cannot read
    ValueError,  # a size, a mode or a chunk out of range
    LookupError,  # data that ends early; a table entry that is not there
    TypeError,  # a TIFF tag of another type than its meaning asks for
    ArithmeticError,  # a ratio over zero, a number too large for C
    EOFError,  # no frame
    struct.error,
    zlib.error,
    Warning,  # Pillow's remarks on odd tags, where the process runs with -W error
)
"""The errors of Pillow's readers, as its source and fuzzing show them: it has no error of its own to catch instead."""


def corrupt(picture_format: str, cause: BaseException | str) -> ImageCorrupt:
    """Return the error for a picture that begins as `picture_format` and then fails for `cause`."""
    reason = str(cause) or type(cause).__name__
    return ImageCorrupt(f"the {picture_format} is damaged: {reason}", format=picture_format, reason=reason)
