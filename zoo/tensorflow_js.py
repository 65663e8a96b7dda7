"""Reading the weights of a TensorFlow.js model.

`model.json` holds a manifest: groups of files, each group's bytes joined, and in them one array after the other, by
name, dtype and shape (`io.WeightsManifestConfig` of TensorFlow.js). The topology beside it is not read: a recipe knows
its network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

import numpy as np

from zoo.errors import WeightsInvalid
from zoo.layers import Array

_DTYPES = {"float32": "<f4", "int32": "<i4"}


class _Group(NamedTuple):
    paths: list[str]
    weights: list[object]


def read_weights(model: bytes, files: Mapping[str, bytes]) -> dict[str, Array]:
    """Return the arrays of a TensorFlow.js model by name.

    Args:
        model: the content of `model.json`.
        files: the content of the weight files, by their names in the manifest.

    Raises:
        WeightsInvalid: the manifest is not understood, its weights are quantised, or a file is missing or cut short.
    """
    arrays: dict[str, Array] = {}
    for group in _groups(model):
        if missing := [path for path in group.paths if path not in files]:
            raise WeightsInvalid(f"the model's weights are in {missing[0]}, which is not there")
        arrays.update(_read_group(b"".join(files[path] for path in group.paths), group))
    return arrays


def _groups(model: bytes) -> Iterator[_Group]:
    try:
        loaded = json.loads(model)
    except ValueError as error:
        raise WeightsInvalid(f"model.json is not JSON: {error}") from error
    match loaded:
        case {"weightsManifest": list(groups)}:
            for group in groups:
                yield _group(group)
        case _:
            raise WeightsInvalid("model.json has no weightsManifest")


def _group(group: object) -> _Group:
    match group:
        case {"paths": list(paths), "weights": list(weights)} if all(isinstance(path, str) for path in paths):
            return _Group(paths, weights)
    raise WeightsInvalid("model.json has a group of weights without paths or without weights")


def _read_group(data: bytes, group: _Group) -> Iterator[tuple[str, Array]]:
    at = 0
    for weight in group.weights:
        name, dtype, shape = _described(weight)
        size = prod(shape) * dtype.itemsize
        if at + size > len(data):
            raise WeightsInvalid(f"the model's weights are cut short before the end of {name}")
        yield name, np.frombuffer(data, dtype, prod(shape), at).reshape(shape)
        at += size
    if at != len(data):
        raise WeightsInvalid(f"the model's weights are {len(data)} bytes; its manifest describes only {at}")


def _described(weight: object) -> tuple[str, np.dtype[np.generic], tuple[int, ...]]:
    match weight:
        case {"quantization": _, "name": name}:
            raise WeightsInvalid(f"the weight {name} is quantised, which is not read")
        case {"name": str(name), "dtype": str(dtype), "shape": list(shape)} if dtype in _DTYPES:
            if all(isinstance(side, int) and side >= 0 for side in shape):
                return name, np.dtype(_DTYPES[dtype]), tuple(shape)
    raise WeightsInvalid(f"model.json describes a weight that is not understood: {str(weight)[:100]}")
