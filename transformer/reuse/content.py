"""What a picture is known by: the SHA-256 of its encoded bytes.

A stranger who could make two pictures of one digest would choose what others are told of one of them: so it is a
cryptographic one. Of those at hand SHA-256 is the quickest where the processor has instructions for it (0.1 ms for
200 KB; 0.14 ms with BLAKE2b), and the most trusted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

QUICK_BYTES: Final = 256 * 1024
"""From here on a digest takes longer, 0.12 ms, than handing it to a thread does."""


def is_quick(pictures: Sequence[bytes]) -> bool:
    """Whether the pictures' digests are made sooner than a thread for them is found."""
    return sum(map(len, pictures)) <= QUICK_BYTES


def contents_of(pictures: Sequence[bytes]) -> list[bytes]:
    """Return the digest of each picture's bytes."""
    return [hashlib.sha256(picture).digest() for picture in pictures]
