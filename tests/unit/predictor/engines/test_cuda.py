from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictor.engines.binding import BoundLane
from predictor.engines.cuda import CudaRuntime, Gpu, PinnedBuffers, find_gpu, open_runtime
from predictor.engines.gate import Gate
from predictor.engines.memory import CudaMemory
from predictor.engines.onnxruntime import SessionLane
from serving.errors import DeviceLost, InferenceFailed

from .sessions import network, rows, session_of

OUTPUTS = ("scores", "best")


class Function:
    """A function of a library, which takes what ctypes would turn into its arguments."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.argtypes: tuple[Any, ...] = ()
        self.restype: Any = None

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class CudaOnTheHost:
    """The CUDA runtime library, on a device whose memory is this process'."""

    def __init__(self) -> None:
        self.pinned: dict[int, Any] = {}
        self.copies: list[int] = []
        self.waits = 0
        self.code = 0
        self.room = 2**30
        self.cudaHostAlloc = Function(self._allocate)
        self.cudaFreeHost = Function(self._free)
        self.cudaMemcpy = Function(self._copy)
        self.cudaStreamSynchronize = Function(self._wait)
        self.cudaGetErrorString = Function({2: b"out of memory", 700: b"an illegal memory access"}.get)

    def _allocate(self, where: int, size: int, _flags: int) -> int:
        if size > self.room:
            return 2
        block = ctypes.create_string_buffer(size)
        self.pinned[ctypes.addressof(block)] = block
        ctypes.c_void_p.from_address(where).value = ctypes.addressof(block)
        return 0

    def _free(self, address: int) -> int:
        del self.pinned[address]
        return 0

    def _copy(self, target: int, source: int, size: int, kind: int) -> int:
        self.copies.append(kind)
        if not self.code:
            ctypes.memmove(target, source, size)
        return self.code

    def _wait(self, _stream: None) -> int:
        self.waits += 1
        return 0


def test_runs_with_cudas_own_copies_give_what_plain_runs_give() -> None:
    library = CudaOnTheHost()
    lane = BoundLane(session_of(network()), CudaMemory(CudaRuntime(library), "cpu"), Gate())
    plain = SessionLane(session_of(network()))

    for seed in range(3):
        answer, wanted = lane.run(rows(2, seed), OUTPUTS), plain.run(rows(2, seed), OUTPUTS)
        assert all(np.array_equal(one.array, other.array) for one, other in zip(answer, wanted, strict=True))

    assert library.copies == 3 * [1, 1, 2, 2]  # two inputs, two outputs
    assert library.waits == 6


def test_batches_are_gathered_in_pinned_memory_that_is_freed_with_them() -> None:
    library = CudaOnTheHost()
    buffers = PinnedBuffers(CudaRuntime(library))
    array = buffers.array("images", (2, 3), np.dtype(np.float32))
    array[:] = 1

    assert array.ctypes.data in library.pinned
    assert buffers.array("images", (1, 3), np.dtype(np.float32)).ctypes.data == array.ctypes.data
    larger = buffers.array("images", (4, 3), np.dtype(np.float32))
    assert len(library.pinned) == 2
    del array
    gc.collect()
    assert list(library.pinned) == [larger.ctypes.data]


def test_ordinary_memory_will_do_where_no_more_can_be_pinned() -> None:
    library = CudaOnTheHost()
    library.room = 16
    buffers = PinnedBuffers(CudaRuntime(library))

    assert buffers.array("images", (100,), np.dtype(np.uint8)).shape == (100,)
    assert library.pinned == {}


def test_a_copy_that_fails_says_what_became_of_the_device() -> None:
    library = CudaOnTheHost()
    runtime = CudaRuntime(library)
    array = np.zeros(4, np.uint8)
    library.code = 700
    with pytest.raises(DeviceLost, match="CUDA failure 700: an illegal memory access"):
        runtime.copy_in(array, array.ctypes.data)
    library.code = 1
    with pytest.raises(InferenceFailed, match="CUDA failure 1"):
        runtime.copy_out(array.ctypes.data, array)


def test_without_the_library_of_the_version_memory_is_not_pinned(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def missing(name: str) -> Any:
        asked.append(name)
        raise OSError(f"{name}: cannot open shared object file")

    assert open_runtime("13.0", missing) is None
    assert open_runtime("12.8", lambda _: object()) is None
    assert asked == ["libcudart.so.13"]
    assert "pinned memory not available" in "".join(capsys.readouterr())


class Driver:
    """The CUDA driver's library, with one GPU or an error."""

    def __init__(self, error: int = 0) -> None:
        self.error = error

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        return self.error

    def cuDeviceGet(self, device: Any, _number: int) -> int:  # noqa: N802
        return self._give(device, 5)

    def cuDeviceGetName(self, name: Any, _length: int, device: Any) -> int:  # noqa: N802
        assert device.value == 5
        name.value = b"NVIDIA H200"
        return 0

    def cuDeviceGetAttribute(self, target: Any, attribute: int, _device: Any) -> int:  # noqa: N802
        return self._give(target, {75: 9, 76: 0}[attribute])

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        return self._give(version, 13000)

    def getInferLibVersion(self) -> int:  # noqa: N802
        return 101303

    @staticmethod
    def _give(target: Any, number: int) -> int:
        target._obj.value = number
        return 0


def test_a_gpu_is_known_by_name_capability_driver_and_tensorrt(tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.write_text("NVRM version: NVIDIA UNIX Module  580.95.05\nGCC version: 12\n")

    gpu = find_gpu(lambda _: Driver(), version)

    assert gpu == Gpu("NVIDIA H200", "9.0", "13000 NVRM version: NVIDIA UNIX Module  580.95.05", "101303")


def test_a_gpu_without_tensorrt_or_a_readable_version_is_known_by_the_rest(tmp_path: Path) -> None:
    def only_the_driver(name: str) -> Any:
        if name != "libcuda.so.1":
            raise OSError(name)
        return Driver()

    assert find_gpu(only_the_driver, tmp_path / "none") == Gpu("NVIDIA H200", "9.0", "13000", "")


def test_without_a_driver_or_a_device_there_is_no_gpu() -> None:
    def missing(name: str) -> Any:
        raise OSError(name)

    assert find_gpu(missing) is None
    assert find_gpu(lambda _: Driver(error=100)) is None


def test_the_functions_are_declared_so_that_addresses_keep_their_64_bits() -> None:
    library = CudaOnTheHost()
    CudaRuntime(library)
    address, size = ctypes.c_void_p, ctypes.c_size_t

    assert library.cudaHostAlloc.argtypes == (address, size, ctypes.c_uint)
    assert library.cudaFreeHost.argtypes == library.cudaStreamSynchronize.argtypes == (address,)
    assert library.cudaMemcpy.argtypes == (address, address, size, ctypes.c_int)
    assert library.cudaMemcpy.restype is ctypes.c_int
    assert library.cudaGetErrorString.restype is ctypes.c_char_p
