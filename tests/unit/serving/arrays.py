"""Arrays of every V2 datatype and any small shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from serving.v2 import DATATYPES, Tensor

NUMERIC = sorted(DATATYPES.keys() - {"BYTES"})
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)

Array = NDArray[Any]


def elements_to_array(elements: list[bytes] | list[str], shape: tuple[int, ...] | None = None) -> Array:
    array = np.empty(len(elements), dtype=np.object_)
    array[:] = elements
    return array if shape is None else array.reshape(shape)


@st.composite
def arrays(draw: st.DrawFn, *, finite: bool = False, text: bool = False) -> Array:
    """An array of any datatype; `finite` leaves out NaN and infinity, `text` makes BYTES hold UTF-8."""
    datatype, shape = draw(st.sampled_from(sorted(DATATYPES))), draw(SHAPES)
    if datatype == "BYTES":
        count = int(np.prod(shape))
        if text:
            return elements_to_array(draw(st.lists(st.text(max_size=9), min_size=count, max_size=count)), shape)
        return elements_to_array(draw(st.lists(st.binary(max_size=9), min_size=count, max_size=count)), shape)
    dtype = DATATYPES[datatype]
    special = None if dtype.kind != "f" else not finite
    return draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(dtype, allow_nan=special, allow_infinity=special)))


@st.composite
def tensors(draw: st.DrawFn, *, finite: bool = False, text: bool = False) -> tuple[Tensor, ...]:
    """One to three tensors, each with a name of its own."""
    names = draw(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3, unique=True))
    return tuple(Tensor(name, draw(arrays(finite=finite, text=text))) for name in names)


def same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    """Whether names, datatypes, shapes and every bit are equal; text counts as its UTF-8."""
    return [_bits(tensor) for tensor in one] == [_bits(tensor) for tensor in other]


def _bits(tensor: Tensor) -> tuple[str, str, tuple[int, ...], object]:
    if tensor.datatype == "BYTES":
        values: object = [e if isinstance(e, bytes) else str(e).encode() for e in tensor.array.flat]
    else:
        values = tensor.array.tobytes()
    return tensor.name, tensor.datatype, tensor.shape, values
