"""Devices, and the ONNX Runtime execution providers that serve them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from serving.errors import ModelLoadFailed


class Device(StrEnum):
    """Where a model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    COREML = "coreml"


PROVIDERS: Final[dict[Device, tuple[str, ...]]] = {
    Device.CPU: ("CPUExecutionProvider",),
    Device.CUDA: ("CUDAExecutionProvider", "CPUExecutionProvider"),
    Device.TENSORRT: ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
    Device.OPENVINO: ("OpenVINOExecutionProvider", "CPUExecutionProvider"),
    Device.COREML: ("CoreMLExecutionProvider", "CPUExecutionProvider"),
}
"""The first is the device's own; the others run what it cannot."""

AUTO_ORDER: Final = (Device.CUDA, Device.CPU)
"""What `auto` tries. TensorRT is left out: it builds an engine for minutes, which nobody asked for."""


HINTS: Final = {
    Device.CUDA: "install requirements/predictor-gpu.txt (the extra `gpu`), or set DEVICE=auto",
    Device.TENSORRT: "install requirements/predictor-gpu.txt (the extra `gpu`), or set DEVICE=auto",
    Device.OPENVINO: "for OpenVINO's own runtime, which is the extra `openvino`, set ENGINE=openvino and no DEVICE",
}
"""What to do where a device's provider is not there."""


def candidates(device: Device, available: Sequence[str]) -> tuple[Device, ...]:
    """Return the devices to try, best first, of those whose provider ONNX Runtime was built with.

    Raises:
        ModelLoadFailed: a device was named that this ONNX Runtime does not have.
    """
    if device is Device.AUTO:
        return tuple(candidate for candidate in AUTO_ORDER if PROVIDERS[candidate][0] in available)
    if PROVIDERS[device][0] not in available:
        raise ModelLoadFailed(
            f"DEVICE={device} needs {PROVIDERS[device][0]}; the installed ONNX Runtime has {', '.join(available)}: "
            f"{HINTS.get(device, 'set DEVICE=auto')}"
        )
    return (device,)
