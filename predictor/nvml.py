"""The GPUs' memory, utilisation and temperature as metrics, where NVIDIA's management library is there.

It is read when the metrics are asked for, on a thread of its own: a driver in trouble can hang in any of its calls, and
nobody must wait for that. What did not come in time is left out, and so is what a device does not tell (a part of one
that was cut up has no utilisation).
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.log import get_logger

logger = get_logger(__name__)

LABELS: Final = ("device", "name")
PATIENCE_S: Final = 0.05
"""Seconds that an answer with metrics waits for the library, which usually takes a thousandth of that."""


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    help: str
    read: Callable[[Any, Any], float]


_FAMILIES: Final = (
    _Family(
        "kserve_vision_device_memory_used_bytes",
        "Bytes of the device's memory that are in use, by whatever process, when the metrics were asked for.",
        lambda nvml, handle: nvml.nvmlDeviceGetMemoryInfo(handle).used,
    ),
    _Family(
        "kserve_vision_device_memory_total_bytes",
        "Bytes of memory that the device has.",
        lambda nvml, handle: nvml.nvmlDeviceGetMemoryInfo(handle).total,
    ),
    _Family(
        "kserve_vision_device_utilisation_ratio",
        "The share of the driver's last sampling period (between a sixth of a second and one) in which anything ran on "
        "the device, 0 to 1.",
        lambda nvml, handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
    ),
    _Family(
        "kserve_vision_device_temperature_celsius",
        "The device's temperature, in degrees Celsius.",
        lambda nvml, handle: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
    ),
)


class NvmlCollector(Collector):
    """Reads all GPUs of this process' container. `nvml` is the module `pynvml`, initialised."""

    def __init__(self, nvml: Any, patience_s: float = PATIENCE_S) -> None:
        self._nvml = nvml
        self._patience_s = patience_s
        self._reading: _Reading | None = None

    def describe(self) -> Iterable[Metric]:
        """Return the families without values, so that nothing is read to register them."""
        return [GaugeMetricFamily(each.name, each.help, labels=LABELS) for each in _FAMILIES]

    def collect(self) -> Iterable[Metric]:
        """Return what the library says now; nothing while it hangs."""
        if self._reading is not None and not self._reading.done.is_set():
            return ()
        self._reading = reading = _Reading()
        threading.Thread(target=self._read, args=(reading,), name="nvml", daemon=True).start()
        reading.done.wait(self._patience_s)
        return reading.families

    def _read(self, reading: _Reading) -> None:
        try:
            reading.families = tuple(self._families())
        except self._nvml.NVMLError as error:
            logger.warning("devices not read", error=str(error))
        finally:
            reading.done.set()

    def _families(self) -> Iterator[Metric]:
        nvml = self._nvml
        devices = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        names = [_text(nvml.nvmlDeviceGetName(handle)) for handle in devices]
        for each in _FAMILIES:
            family = GaugeMetricFamily(each.name, each.help, labels=LABELS)
            for number, (handle, name) in enumerate(zip(devices, names, strict=True)):
                try:
                    family.add_metric((str(number), name), each.read(nvml, handle))
                except nvml.NVMLError:  # a figure that this device does not have
                    continue
            if family.samples:
                yield family


class _Reading:
    """What one thread reads."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.families: Sequence[Metric] = ()


def watch_gpus(registry: CollectorRegistry, load_module: Callable[[str], Any] = importlib.import_module) -> bool:
    """Let a registry tell of the GPUs, and return whether there are any.

    Without the package `nvidia-ml-py`, a driver or a GPU, there is nothing to tell.
    """
    try:
        nvml = load_module("pynvml")
    except ImportError:
        return False
    try:
        nvml.nvmlInit()
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        logger.debug("no devices to watch", reason=str(error))
        return False
    if count:
        registry.register(NvmlCollector(nvml))
    return bool(count)


def _text(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name
