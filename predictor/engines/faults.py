"""What a failed run means: the request's fault, the device's memory, or the device itself.

Engines tell them apart by their words alone, which come from several mouths:

- ONNX Runtime's arena: "Failed to allocate memory for requested buffer of size 4096", and under a limit "Available
  memory of 256 is smaller than requested bytes of 4096"; without an arena the C++ library's `std::bad_alloc`.
- CUDA, cuBLAS and cuDNN through ONNX Runtime: "CUDA failure 2: out of memory ; GPU=0 ; ... ; expr=cudaMalloc(...)",
  "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", "CUDNN failure 4002: ..._DEVICE_ALLOCATION_FAILED".
- TensorRT: "Cuda Runtime (an illegal memory access was encountered)", "Error Code 2: OutOfMemory".
- OpenVINO: "Can not allocate 4096 bytes".

The numbers are those of cudaError_t of which CUDA's documentation says that they leave the process in an inconsistent
state, and that "the process must be terminated and relaunched". Their neighbours (701, a launch that asks for too many
registers; 712, memory that was pinned twice) fail one call and no more.
"""

from __future__ import annotations

import re
from typing import Final

from serving.errors import DeviceLost, DeviceOutOfMemory, InferenceFailed, ServingError

_MEMORY: Final = re.compile(
    r"CUDA failure 2\b|cudaErrorMemoryAllocation|[Oo]ut of memory|OutOfMemory|OUT_OF_MEMORY"
    r"|[Ff]ailed to allocate (?:\d+ bytes of )?memory|[Cc]an ?not allocate"
    r"|Available memory of \d+ is smaller than requested"
    r"|std::bad_alloc|vector::_M_default_append|CU(?:DNN|BLAS)_STATUS_ALLOC_FAILED|(?:DEVICE|HOST)_ALLOCATION_FAILED"
)
_LOST: Final = re.compile(
    r"CUDA failure (?:214|220|226|700|702|709|710|71[4-9]|721|810|911)\b|cudaErrorIllegalAddress"
    r"|illegal memory access|misaligned address|illegal instruction was encountered|invalid program counter"
    r"|hardware stack error|unspecified launch failure|the launch timed out|device-side assert|context is destroyed"
    r"|uncorrectable (?:NVLink|ECC)|fallen off the bus|DEVICE_RESET|DeviceReset"
)


def fault_of_run(engine: str, said: str) -> ServingError:
    """Return what an engine's words about a failed run mean."""
    words = said.strip()
    if _LOST.search(words):
        return DeviceLost(f"{engine} lost its device: {words}")
    if _MEMORY.search(words):
        return DeviceOutOfMemory(f"{engine} ran out of memory: {words}", retry_after_s=1)
    return InferenceFailed(f"{engine} failed on this request: {words}")
