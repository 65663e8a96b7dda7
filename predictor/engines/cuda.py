"""CUDA's own library, as far as ONNX Runtime's Python interface does not reach: pinned memory, copies that let other
threads run, and what the device is.

Memory that a batch is gathered into is pinned: the device reads it itself, at twice the speed and more. ONNX Runtime
offers none in Python, and its own copies hold the interpreter's lock for as long as they take; these here do not.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from predictor.engines.base import Buffers
from predictor.engines.faults import fault_of_run
from serving.log import get_logger
from serving.v2.tensor import Array

logger = get_logger(__name__)

OpenLibrary: TypeAlias = Callable[[str], Any]
"""Opens a shared library by its file's name, as `ctypes.CDLL` does; raises `OSError` where there is none."""

DRIVER: Final = "libcuda.so.1"
DRIVER_VERSION: Final = Path("/proc/driver/nvidia/version")
TENSORRT: Final = ("libnvinfer.so.11", "libnvinfer.so.10")

_HOST_TO_DEVICE: Final = 1
_DEVICE_TO_HOST: Final = 2
_PORTABLE: Final = 1
_MAJOR: Final = 75
_MINOR: Final = 76
_NAME_LENGTH: Final = 128


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a compiled model depends on: another of any of them is another device."""

    name: str
    capability: str
    driver: str
    tensorrt: str


def find_gpu(open_library: OpenLibrary = ctypes.CDLL, driver_version: Path = DRIVER_VERSION) -> Gpu | None:
    """Return the first GPU that this process may use; None where there is no driver or no GPU."""
    try:
        driver = open_library(DRIVER)
    except OSError:
        return None
    device, major, minor, version = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(_NAME_LENGTH)
    answers: tuple[Callable[[], Any], ...] = (
        lambda: driver.cuInit(0),
        lambda: driver.cuDeviceGet(ctypes.byref(device), 0),
        lambda: driver.cuDeviceGetName(name, _NAME_LENGTH, device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
        lambda: driver.cuDriverGetVersion(ctypes.byref(version)),
    )
    if any(ask() for ask in answers):  # each gives a cudaError_t; the first that is none ends it
        return None
    said = _first_line(driver_version)
    return Gpu(
        name.value.decode(errors="replace"),
        f"{major.value}.{minor.value}",
        f"{version.value} {said}".strip(),
        _tensorrt_version(open_library),
    )


def open_runtime(cuda_version: str, open_library: OpenLibrary = ctypes.CDLL) -> CudaRuntime | None:
    """Return the runtime library of the CUDA that ONNX Runtime was built with ("13.0"); None where it cannot be had."""
    name = f"libcudart.so.{cuda_version.split('.', maxsplit=1)[0]}"
    try:
        return CudaRuntime(open_library(name))
    except (OSError, AttributeError) as error:
        logger.warning("pinned memory not available", library=name, error=str(error))
        return None


class CudaRuntime:
    """Pinned memory and copies, of the CUDA runtime library."""

    def __init__(self, library: Any) -> None:
        """Take a library that is loaded.

        Raises:
            AttributeError: it is another one.
        """
        self._allocate = _function(library.cudaHostAlloc, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
        self._free = _function(library.cudaFreeHost, ctypes.c_void_p)
        self._copy = _function(library.cudaMemcpy, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        self._wait = _function(library.cudaStreamSynchronize, ctypes.c_void_p)
        self._explain = library.cudaGetErrorString
        self._explain.restype = ctypes.c_char_p

    def pinned(self, size: int) -> Array | None:
        """Return `size` bytes of pinned memory, uint8, which are freed with the array; None where there are none."""
        address = ctypes.c_void_p()
        if self._allocate(ctypes.addressof(address), size, _PORTABLE) or not address.value:
            return None
        block = (ctypes.c_uint8 * size).from_address(address.value)
        weakref.finalize(block, self._free, address.value)
        array: Array = np.ctypeslib.as_array(block)
        return array

    def copy_in(self, array: Array, address: int) -> None:
        """Copy a contiguous array to the device, and wait for it.

        Raises:
            DeviceLost, DeviceOutOfMemory, InferenceFailed: what the error means.
        """
        self._check(self._copy(address, array.ctypes.data, array.nbytes, _HOST_TO_DEVICE))
        # Memory that is not pinned may still be on its way, and ONNX Runtime's streams do not wait for this one.
        self._check(self._wait(None))

    def copy_out(self, address: int, array: Array) -> None:
        """Copy from the device into a contiguous array, and wait for it; raises as `copy_in`."""
        self._check(self._copy(array.ctypes.data, address, array.nbytes, _DEVICE_TO_HOST))

    def _check(self, code: int) -> None:
        if code:
            said = (self._explain(code) or b"").decode(errors="replace")
            raise fault_of_run("a copy to or from the device", f"CUDA failure {code}: {said}")


class PinnedBuffers(Buffers):
    """Memory that the device reads by itself; ordinary memory once there is no more of it."""

    def __init__(self, runtime: CudaRuntime) -> None:
        super().__init__()
        self._runtime = runtime

    def allocate(self, size: int) -> Array:
        """Return `size` bytes, uint8."""
        pinned = self._runtime.pinned(size)
        return super().allocate(size) if pinned is None else pinned


def _function(function: Any, *arguments: type) -> Any:
    function.argtypes = arguments
    function.restype = ctypes.c_int
    return function


def _tensorrt_version(open_library: OpenLibrary, names: Sequence[str] = TENSORRT) -> str:
    for name in names:
        try:
            return str(open_library(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
    return ""


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return ""
