"""Memory of a device, where the inputs and outputs of bound runs lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from predictor.engines.base import Buffers
from predictor.engines.cuda import CudaRuntime, PinnedBuffers
from predictor.engines.runtime import ort
from predictor.engines.session import dtype_of_value
from serving.v2.tensor import Array


class DeviceMemory:
    """Memory of a device, through ONNX Runtime. `kind` is its name for the device: "cpu", "cuda"."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def buffers(self) -> Buffers:
        """Return what batches are gathered into."""
        return Buffers()

    def allocate(self, shape: Sequence[int], dtype: np.dtype[Any]) -> ort.OrtValue:
        """Return memory of the device for an array."""
        return ort.OrtValue.ortvalue_from_shape_and_type(list(shape), dtype.type, self.kind, 0)

    def copy_in(self, array: Array, value: ort.OrtValue) -> None:
        """Copy a contiguous array to the device."""
        value.update_inplace(array)

    def copy_out(self, value: ort.OrtValue) -> Array:
        """Return what is on the device, as memory of its own."""
        return np.array(value.numpy())  # which is a view, on a CPU


class CudaMemory(DeviceMemory):
    """Memory of a CUDA device; its batches are gathered in pinned memory."""

    def __init__(self, runtime: CudaRuntime, kind: str = "cuda") -> None:
        super().__init__(kind)
        self._runtime = runtime

    def buffers(self) -> Buffers:
        """Return what batches are gathered into."""
        return PinnedBuffers(self._runtime)

    def copy_in(self, array: Array, value: ort.OrtValue) -> None:
        """Copy a contiguous array to the device."""
        self._runtime.copy_in(array, value.data_ptr())

    def copy_out(self, value: ort.OrtValue) -> Array:
        """Return what is on the device, as memory of its own."""
        array = np.empty(value.shape(), dtype_of_value(value))
        if array.size:
            self._runtime.copy_out(value.data_ptr(), array)
        return array
