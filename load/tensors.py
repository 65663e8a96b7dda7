"""Tensors of random numbers, of the shapes that a model's V2 metadata states: to ask a predictor without a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from serving.v2 import DATATYPES, InferRequest, ModelMetadata, Tensor, TensorSpec
from serving.v2.message import ANY

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes that the caller chooses, by the input's name."""

MAX_BYTES: Final = 256 * 2**20
"""The most bytes of one request's tensors."""


class NotRandom(ValueError):
    """No tensor can be made of what the metadata says; the message says what to give."""


def takes_pictures(metadata: ModelMetadata) -> bool:
    """Whether a model is asked with encoded pictures, as a transformer is: its one input is BYTES."""
    return len(metadata.inputs) == 1 and metadata.inputs[0].datatype == "BYTES"


def random_request(metadata: ModelMetadata, shapes: Shapes, seed: int) -> InferRequest:
    """Return a request with a random tensor for each input.

    A first dimension that a request may choose is 1; any other must be given in `shapes`.

    Raises:
        NotRandom: a dimension is missing, a shape does not fit, or a datatype has no random numbers.
    """
    unknown = shapes.keys() - {spec.name for spec in metadata.inputs}
    if unknown:
        known = ", ".join(spec.name for spec in metadata.inputs)
        raise NotRandom(f"{metadata.name} has no input {min(unknown)!r}: it takes {known}")
    chance = np.random.default_rng(seed)
    tensors = tuple(_tensor(spec, _shape(spec, shapes.get(spec.name)), chance) for spec in metadata.inputs)
    if not tensors:
        raise NotRandom(f"the metadata of {metadata.name} lists no inputs, so that their shapes are not known")
    return InferRequest(model_name=metadata.name, inputs=tensors)


def _shape(spec: TensorSpec, given: tuple[int, ...] | None) -> tuple[int, ...]:
    first, *rest = spec.shape or (1,)
    shape = given or (1 if first == ANY else first, *rest)
    if ANY in shape:
        raise NotRandom(
            f"input {spec.name!r} has the shape {list(spec.shape)}: say which with --shape, as in 1,640,640,3"
        )
    if spec.shape and not spec.accepts(shape):
        raise NotRandom(f"input {spec.name!r} has the shape {list(spec.shape)}, into which {list(shape)} does not fit")
    return shape


def _tensor(spec: TensorSpec, shape: tuple[int, ...], chance: np.random.Generator) -> Tensor:
    dtype = DATATYPES.get(spec.datatype)
    if dtype is None or dtype.kind == "O":
        raise NotRandom(f"input {spec.name!r} is {spec.datatype}, of which no random tensor is made")
    size = int(np.prod(shape, dtype=np.float64)) * dtype.itemsize
    if size > MAX_BYTES:
        raise NotRandom(
            f"input {spec.name!r} of the shape {list(shape)} has {size} bytes: at most {MAX_BYTES} are sent"
        )
    return Tensor(spec.name, _numbers(shape, dtype, chance))


def _numbers(shape: tuple[int, ...], dtype: np.dtype[Any], chance: np.random.Generator) -> np.ndarray[Any, Any]:
    """Return values that every type has: bytes of pixels as integers, the like from 0 to 1 as floats."""
    if dtype.kind == "f":
        return chance.random(shape, dtype=np.float32).astype(dtype)
    highest = {"b": 2, "i": 128}.get(dtype.kind, 256)
    return chance.integers(0, highest, shape, dtype=np.uint8).astype(dtype)
