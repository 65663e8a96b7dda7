from __future__ import annotations

import pytest

from predictor.engines.faults import fault_of_run
from serving.errors import DeviceLost, DeviceOutOfMemory, InferenceFailed

NODE = "Non-zero status code returned while running Conv node. Name:'conv' Status Message: "
CALL = " ; GPU=0 ; hostname=pod ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_allocator.cc ; line=60 ; "

MEMORY = [
    NODE + "Failed to allocate memory for requested buffer of size 70368744177664",
    NODE
    + "BFCArena::AllocateRawInternal(size_t) Available memory of 5513472 is smaller than requested bytes of 20751872",
    NODE + "std::bad_alloc",
    "CUDA failure 2: out of memory" + CALL + "expr=cudaMalloc((void**)&p, size); ",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED" + CALL + "expr=cublasCreate(&cublas_handle_); ",
    "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED" + CALL + "expr=cudnnCreate(&cudnn_handle_); ",
    "CUDNN failure 5003: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED" + CALL,
    "CUDA error 2 allocating 6370102777-byte buffer: out of memory",
    "Error Code 2: OutOfMemory (Requested size was 2147483648 bytes.)",
]
LOST = [
    "CUDA failure 700: an illegal memory access was encountered" + CALL + "expr=cudaStreamSynchronize(stream); ",
    "CUDA failure 719: unspecified launch failure" + CALL,
    "CUDA failure 710: device-side assert triggered" + CALL,
    "CUDA failure 214: uncorrectable ECC error encountered" + CALL,
    "CUDA failure 226: Invalid access of peer GPU memory over nvlink or a hardware error" + CALL,
    "IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (an illegal memory access was encountered)",
    "CUDA failure 702: the launch timed out and was terminated" + CALL,
]
ONE_CALL = [
    "CUDA failure 1: invalid argument" + CALL,
    "CUDA failure 701: too many resources requested for launch" + CALL,
    "CUDA failure 712: part or all of the requested memory range is already mapped" + CALL,
    "CUDA failure 720: too many blocks in cooperative launch" + CALL,
    "CUDA failure 209: no kernel image is available for execution on the device" + CALL,
    "CUDA failure 21: 7 of 700 things" + CALL,
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: pixels",
]


@pytest.mark.parametrize("words", MEMORY)
def test_a_device_without_memory_is_known_by_its_words(words: str) -> None:
    fault = fault_of_run("ONNX Runtime", words)

    assert type(fault) is DeviceOutOfMemory
    assert fault.retry_after_s == 1


@pytest.mark.parametrize("words", LOST)
def test_an_error_that_lasts_as_long_as_the_process_is_a_lost_device(words: str) -> None:
    assert type(fault_of_run("ONNX Runtime", words)) is DeviceLost


@pytest.mark.parametrize("words", ONE_CALL)
def test_any_other_error_is_of_this_run_alone(words: str) -> None:
    assert type(fault_of_run("ONNX Runtime", words)) is InferenceFailed
