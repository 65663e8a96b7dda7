"""What the model said of one picture: all that its answer is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from serving.v2.tensor import Array
from transformer.pictures import Prepared

ENTRY_BYTES: Final = 2048
"""What a picture that is kept takes beside its tensors, rounded up: the objects around them, and its key."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The decoder's outputs for one picture, without their first axis; where it lay in the model's input; and the
    version of the model, as the predictor says it.

    The outputs are read-only, since many answers may be made of them. The picture has its size in the model's input and
    no pixels, which nothing asks for any more.
    """

    tensors: Mapping[str, Array]
    picture: Prepared
    model_version: str

    @classmethod
    def of(cls, tensors: Mapping[str, Array], picture: Prepared, model_version: str) -> Seen:
        """Return what was said of a picture, without its pixels."""
        return cls(tensors, Prepared(_blank(picture.pixels.shape), picture.geometry), model_version)

    @property
    def nbytes(self) -> int:
        """The bytes that it takes when it is kept."""
        return ENTRY_BYTES + sum(array.nbytes for array in self.tensors.values())

    def kept(self) -> Seen:
        """Return it with tensors of its own: these are views of a message, or a batch, that would stay with them."""
        return replace(self, tensors={name: _copy(array) for name, array in self.tensors.items()})


def _blank(shape: tuple[int, ...]) -> Array:
    """Return zeros that take one byte, whatever their shape."""
    return np.ndarray(shape, np.uint8, buffer=b"\0", strides=(0,) * len(shape))


def _copy(array: Array) -> Array:
    copied = array.copy()
    copied.flags.writeable = False
    return copied
