"""COCO's compressed run lengths.

A mask is read column by column: the lengths of its runs of 0 and 1 in turns, beginning with 0. Each length, from the
fourth on the difference to the one before the last, is written in groups of five bits, the lowest first, with a sixth
that says whether more follow, as a character from `0` on.

Source: cocodataset/cocoapi, common/maskApi.c, `rleEncode` and `rleToString`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from transformer.masks.patch import Patch

_BITS: Final = 5
_MORE: Final = 0x20
_SIGN: Final = 0x10
_FIRST_CHARACTER: Final = 48


def encode_rle(patch: Patch) -> bytes:
    """Return the characters that pycocotools calls `counts`; its `size` is the picture's [height, width]."""
    return _characters(run_lengths(patch))


def run_lengths(patch: Patch) -> NDArray[np.int64]:
    """Return the lengths of the runs of 0 and 1, column by column over the whole picture."""
    rows, columns = patch.mask.shape
    # A row of 0 above and below, so that each column's runs begin and end within it.
    framed = np.zeros((columns, rows + 2), np.uint8)
    framed[:, 1:-1] = patch.mask.T
    flat = framed.ravel()
    column, row = np.divmod(np.flatnonzero(flat[1:] != flat[:-1]), rows + 2)
    edges = (column + patch.left) * patch.height + row + patch.top
    if rows == patch.height:
        # Where one column ends and the next begins with 1, it is one run.
        same = np.flatnonzero(edges[1:-1:2] == edges[2::2]) * 2 + 1
        edges = np.delete(edges, np.concatenate([same, same + 1]))
    total = patch.width * patch.height
    lengths = np.diff(edges, prepend=0, append=total)
    return lengths[:-1] if len(lengths) > 1 and lengths[-1] == 0 else lengths


def _characters(lengths: NDArray[np.int64]) -> bytes:
    left = lengths.astype(np.int64)
    left[3:] -= lengths[1:-2]
    groups, written = [], []
    is_left = np.ones(len(left), np.bool_)
    while is_left.any():
        group = left & (_MORE - 1)
        left >>= _BITS
        # The last group's highest bit is the sign of all.
        more = np.where(group & _SIGN, left != -1, left != 0)
        groups.append(group + _MORE * more + _FIRST_CHARACTER)
        written.append(is_left)
        is_left = is_left & more
    return np.stack(groups, axis=1).astype(np.uint8)[np.stack(written, axis=1)].tobytes()
