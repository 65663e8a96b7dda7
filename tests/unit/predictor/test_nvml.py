from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from predictor.nvml import NvmlCollector, watch_gpus


class NVMLError(Exception):
    pass


class Nvml:
    """NVIDIA's management library, with two GPUs, the second of which was cut up."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, gpus: int = 2) -> None:
        self.gpus = gpus
        self.works = threading.Event()
        self.works.set()
        self.lost = False
        self.readings = 0

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self.readings += 1
        self.works.wait(10)
        if self.lost:
            raise NVMLError("GPU is lost")
        return self.gpus

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        return number

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:  # noqa: N802
        return "NVIDIA H200" if handle == 0 else b"NVIDIA H200 MIG 1g.18gb"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(used=3 * 2**30, total=(141 if handle == 0 else 18) * 2**30)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        if handle == 1:
            raise NVMLError("Not Supported")
        return SimpleNamespace(gpu=37, memory=5)

    def nvmlDeviceGetTemperature(self, _handle: int, sensor: int) -> int:  # noqa: N802
        assert sensor == self.NVML_TEMPERATURE_GPU
        return 41


def watched(nvml: Nvml, patience_s: float = 10) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(NvmlCollector(nvml, patience_s))
    return registry


def names(registry: CollectorRegistry) -> set[str]:
    return {family.name for family in registry.collect()}


def test_each_gpu_tells_what_it_has() -> None:
    registry = watched(Nvml())
    first, second = {"device": "0", "name": "NVIDIA H200"}, {"device": "1", "name": "NVIDIA H200 MIG 1g.18gb"}

    assert registry.get_sample_value("kserve_vision_device_memory_used_bytes", first) == 3 * 2**30
    assert registry.get_sample_value("kserve_vision_device_memory_total_bytes", second) == 18 * 2**30
    assert registry.get_sample_value("kserve_vision_device_utilisation_ratio", first) == 0.37
    assert registry.get_sample_value("kserve_vision_device_temperature_celsius", second) == 41


def test_a_figure_that_a_gpu_does_not_have_is_left_out_for_it_alone() -> None:
    (family,) = (f for f in watched(Nvml()).collect() if f.name == "kserve_vision_device_utilisation_ratio")

    assert [sample.labels["device"] for sample in family.samples] == ["0"]


def test_nothing_is_read_before_the_metrics_are_asked_for() -> None:
    nvml = Nvml()
    watched(nvml)

    assert nvml.readings == 0


def test_a_driver_that_hangs_is_waited_for_once_and_never_again_until_it_answers() -> None:
    nvml = Nvml()
    registry = watched(nvml, patience_s=0.01)
    nvml.works.clear()
    try:
        assert names(registry) == set()
        assert names(registry) == set()
        assert nvml.readings == 1
    finally:
        nvml.works.set()
    for thread in threading.enumerate():
        if thread.name == "nvml":
            thread.join()

    assert len(names(watched(nvml))) == 4


def test_a_gpu_that_is_lost_leaves_the_other_metrics_alone() -> None:
    nvml = Nvml()
    nvml.lost = True

    assert generate_latest(watched(nvml)) == b""


def test_gpus_are_watched_where_there_are_any() -> None:
    for gpus in (0, 2):
        registry = CollectorRegistry()
        nvml = Nvml(gpus)
        assert watch_gpus(registry, {"pynvml": nvml}.__getitem__) is bool(gpus)
        assert (b"kserve_vision_device" in generate_latest(registry)) is bool(gpus)


def test_without_the_package_or_a_driver_there_is_nothing_to_tell() -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    no_driver = Nvml()
    no_driver.lost = True
    registry = CollectorRegistry()

    assert not watch_gpus(registry, missing)
    assert not watch_gpus(registry, lambda _: no_driver)
    assert generate_latest(registry) == b""
